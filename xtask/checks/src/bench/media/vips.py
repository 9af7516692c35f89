"""What the service makes of a picture, made by libvips: the reference.

Each line of standard input is a command with its files, separated by tabs; each has an answer of one line.
  derive FILE          makes both small pictures; says the seconds that it took, and the most memory so far, in KiB
  ssim FILE SMALL      says how alike a small picture is to one of its size that is made of all pixels, 0 to 1
  make FILE SOURCE WIDTH HEIGHT    makes a picture of this size in the format of its name
"""

import sys
import time

import pyvips

pyvips.cache_set_max(0)


def derive(file):
    began = time.monotonic()
    small = lambda side: pyvips.Image.thumbnail(file, side, height=side, size="down", export_profile="srgb")
    small(600).webpsave_buffer(Q=80, effort=4, keep="none")
    small(1024).pngsave_buffer(compression=1, keep="none")
    seconds = time.monotonic() - began
    with open("/proc/self/status") as status:
        peak = next(line.split()[1] for line in status if line.startswith("VmHWM:"))
    return f"{seconds} {peak}"


def ssim(file, small):
    """Structural similarity of the brightness (Wang et al. 2004): a Gaussian window of 1.5 pixels."""
    shown = pyvips.Image.new_from_file(small).colourspace("b-w")[0].cast("float")
    whole = pyvips.Image.new_from_file(file).colourspace("srgb")
    whole = whole.resize(shown.width / whole.width, vscale=shown.height / whole.height, kernel="lanczos3")
    whole = whole.colourspace("b-w")[0].cast("float").crop(0, 0, shown.width, shown.height)
    blur = lambda image: image.gaussblur(1.5, precision="float")
    mean_a, mean_b = blur(shown), blur(whole)
    variance_a = blur(shown * shown) - mean_a * mean_a
    variance_b = blur(whole * whole) - mean_b * mean_b
    covariance = blur(shown * whole) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    above = (mean_a * mean_b * 2 + c1) * (covariance * 2 + c2)
    below = (mean_a * mean_a + mean_b * mean_b + c1) * (variance_a + variance_b + c2)
    return str((above / below).avg())


def make(file, source, width, height):
    image = pyvips.Image.new_from_file(source)
    image = image.resize(int(width) / image.width, vscale=int(height) / image.height).colourspace("srgb")
    options = {"interlace": True, "Q": 85} if "progressive" in file else {}
    if file.endswith(".tif"):
        options = {"compression": "lzw", "predictor": "horizontal"}
    image.write_to_file(file, keep="none", **options)
    return "made"


for line in sys.stdin:
    command, *arguments = line.rstrip("\n").split("\t")
    print({"derive": derive, "ssim": ssim, "make": make}[command](*arguments), flush=True)
