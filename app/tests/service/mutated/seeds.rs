//! The undamaged files that are mutated: small ones of each format.

use std::path::Path;
use std::process::Command;

use app::process::Features;
use image::{DynamicImage, ImageFormat};

use crate::{pictures, support::files_below};

/// Larger files have nothing that smaller ones lack, and take longer, in bytes.
const MAX_SIZE: usize = 64 << 10;

pub(crate) struct Seed {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_video: bool,
}

/// Those that this machine can make and decode, then those of the folder that TEST_MEDIA_CASES names.
pub(crate) fn seeds(features: Features) -> Vec<Seed> {
    let folder = tempfile::tempdir().unwrap();
    let mut seeds = images();
    if features.heif {
        seeds.extend(heif(folder.path()));
    } else {
        eprintln!("skipped: HEIC and AVIF, because heif-convert is not installed");
    }
    if features.video {
        seeds.extend(clips(folder.path()));
    } else {
        eprintln!("skipped: clips, because ffmpeg is not installed");
    }
    if let Some(cases) = std::env::var_os("TEST_MEDIA_CASES") {
        seeds.extend(files_below(Path::new(&cases)).into_iter().filter_map(|path| media_case(&path)));
    }
    seeds
}

fn images() -> Vec<Seed> {
    let picture = DynamicImage::from(pictures::photograph(48, 32));
    let jpeg = pictures::jpeg(48, 32);
    let tiff = |image: &DynamicImage| pictures::encode(image, ImageFormat::Tiff);
    let png = |image: &DynamicImage| pictures::encode(image, ImageFormat::Png);
    let lossy = webpx::Encoder::new_rgba(&picture.to_rgba8(), 48, 32).encode(webpx::Unstoppable).unwrap();
    [
        ("jpeg", jpeg.clone()),
        ("jpeg-progressive", pictures::progressive_jpeg(48, 32)),
        ("jpeg-gray", pictures::gray_jpeg(48, 32)),
        ("jpeg-cmyk", pictures::cmyk_jpeg(48, 32)),
        ("jpeg-oriented", pictures::oriented(&jpeg, 6)),
        ("jpeg-located", pictures::located(&jpeg)),
        ("png", png(&picture)),
        ("png-16", png(&picture.to_rgba16().into())),
        ("png-gray-alpha", png(&picture.to_luma_alpha8().into())),
        ("png-located", png_with_metadata(&png(&picture))),
        ("webp-lossless", pictures::webp(48, 32)),
        ("webp-lossy", lossy),
        ("gif", pictures::gif(48, 32, 3)),
        ("tiff", tiff(&picture)),
        ("tiff-gray-16", tiff(&picture.to_luma16().into())),
    ]
    .map(|(name, bytes)| Seed { name: name.to_owned(), bytes, is_video: false })
    .into()
}

/// A PNG with what the service reads of its metadata: colours, EXIF, texts.
fn png_with_metadata(png: &[u8]) -> Vec<u8> {
    let located = pictures::located(b"\xff\xd8");
    let xmp = b"XML:com.adobe.xmp\0\0\0\0\0<x exif:GPSLatitude=\"60,10.1N\"/>";
    let raw = [b"Raw profile type exif\0\nexif\n12\n".as_slice(), hex::encode(&located[6..]).as_bytes()].concat();
    let chunks: [(&[u8; 4], &[u8]); 6] = [
        (b"gAMA", &100_000_u32.to_be_bytes()),
        (b"cICP", &[12, 13, 0, 1]),
        (b"eXIf", &located[12..]),
        (b"iTXt", xmp),
        (b"tEXt", &raw),
        (b"cHRM", &[0, 0, 0x7a, 0x26].repeat(8)),
    ];
    let mut file = png[..33].to_vec();
    for (name, data) in chunks {
        let checked = [name.as_slice(), data].concat();
        file.extend((data.len() as u32).to_be_bytes());
        file.extend(&checked);
        file.extend(crc32fast::hash(&checked).to_be_bytes());
    }
    file.extend(&png[33..]);
    file
}

fn heif(folder: &Path) -> Vec<Seed> {
    let png = folder.join("picture.png");
    fs_err::write(&png, pictures::png(48, 32)).unwrap();
    let make = |name: &str, codec| {
        let path = folder.join(name);
        let made = Command::new("heif-enc").arg(codec).arg(&png).arg("-o").arg(&path).output().unwrap();
        assert!(path.exists(), "{}", String::from_utf8_lossy(&made.stderr));
        Seed { name: name.to_owned(), bytes: fs_err::read(path).unwrap(), is_video: false }
    };
    vec![make("picture.heic", "-L"), make("picture.avif", "-A")]
}

fn clips(folder: &Path) -> Vec<Seed> {
    let make = |name: &str, arguments: &str| {
        let path = folder.join(name);
        let source = "-v error -f lavfi -i testsrc2=size=64x48:rate=5:duration=1 -f lavfi -i sine=duration=1 -shortest";
        let made = Command::new("ffmpeg").args(source.split(' ')).args(arguments.split(' ')).arg(&path).output();
        let made = made.unwrap();
        assert!(made.status.success(), "{name}: {}", String::from_utf8_lossy(&made.stderr));
        Seed { name: name.to_owned(), bytes: fs_err::read(path).unwrap(), is_video: true }
    };
    vec![
        make("clip.mp4", "-c:v libx264 -pix_fmt yuv420p -c:a aac -metadata location=+60.1699+024.9384/"),
        make("clip.mov", "-c:v libx264 -pix_fmt yuv420p -an"),
        make("clip.mkv", "-c:v libx264 -pix_fmt yuv420p -an"),
        make("clip.webm", "-c:v libvpx -c:a libvorbis"),
    ]
}

fn media_case(path: &Path) -> Option<Seed> {
    let name = path.file_name()?.to_str()?.to_owned();
    let kind = path.extension()?.to_str()?;
    if matches!(kind, "md" | "tsv") {
        return None;
    }
    let is_video = matches!(kind, "mp4" | "mov" | "mkv" | "webm" | "m4v");
    let bytes = fs_err::read(path).unwrap();
    // Those that are made to take long would take long each time.
    let is_slow = ["own-dos-", "own-mem-", "own-gif-1080p"].iter().any(|prefix| name.starts_with(prefix));
    (!is_slow && (16..=MAX_SIZE).contains(&bytes.len())).then_some(Seed { name, bytes, is_video })
}
