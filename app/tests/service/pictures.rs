//! Generates images for the tests.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use turbojpeg::{Compressor, PixelFormat, Subsamp};

/// A gradient with noise, like a photo. The red upper left quarter shows the rotation.
pub(crate) fn photograph(width: u32, height: u32) -> RgbImage {
    let mut noise = 12345_u32;
    RgbImage::from_fn(width, height, |x, y| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let grain = (noise >> 28) as u8;
        if x < width / 2 && y < height / 2 {
            Rgb([220 + grain, 20 + grain, 20 + grain])
        } else {
            Rgb([(x * 120 / width) as u8 + grain, 120 + grain, (y * 120 / height) as u8 + 100 + grain])
        }
    })
}

pub(crate) fn encode(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Lossless.
pub(crate) fn webp(width: u32, height: u32) -> Vec<u8> {
    let picture = photograph(width, height);
    webpx::Encoder::new_rgb(&picture, width, height).lossless(true).encode(webpx::Unstoppable).unwrap()
}

pub(crate) fn decode_webp(bytes: &[u8]) -> DynamicImage {
    let (pixels, width, height) = webpx::decode_rgba(bytes).unwrap();
    image::RgbaImage::from_raw(width, height, pixels).unwrap().into()
}

pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
    encode(&photograph(width, height).into(), ImageFormat::Png)
}

pub(crate) fn jpeg(width: u32, height: u32) -> Vec<u8> {
    jpeg_with(&photograph(width, height), false)
}

pub(crate) fn progressive_jpeg(width: u32, height: u32) -> Vec<u8> {
    jpeg_with(&photograph(width, height), true)
}

pub(crate) fn gray_jpeg(width: u32, height: u32) -> Vec<u8> {
    let gray = DynamicImage::from(photograph(width, height)).to_luma8();
    compress(&gray, width, height, PixelFormat::GRAY, Subsamp::Gray, false)
}

/// With four inks, stored inverted as Adobe does.
pub(crate) fn cmyk_jpeg(width: u32, height: u32) -> Vec<u8> {
    let inks: Vec<u8> = photograph(width, height).pixels().flat_map(|Rgb([r, g, b])| [*r, *g, *b, 255]).collect();
    compress(&inks, width, height, PixelFormat::CMYK, Subsamp::None, false)
}

/// Adds an EXIF orientation, 1 to 8.
pub(crate) fn oriented(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    // TIFF, big-endian: one entry, tag 0x0112 (Orientation), type SHORT, count 1.
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

/// Adds an EXIF latitude: 60° 10' 8" north.
pub(crate) fn located(jpeg: &[u8]) -> Vec<u8> {
    // TIFF, big-endian: a table with the tag 0x8825 (GPS), which points to a table with the tags 1 (N) and 2 (three fractions).
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x88\x25\0\x04\0\0\0\x01\0\0\0\x1a\0\0\0\0".to_vec();
    exif.extend(b"\0\x02\0\x01\0\x02\0\0\0\x02N\0\0\0\0\x02\0\x05\0\0\0\x03\0\0\0\x38\0\0\0\0");
    exif.extend([60_u32, 1, 10, 1, 8, 1].iter().flat_map(|number| number.to_be_bytes()));
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

/// A small JPEG whose header claims another size.
pub(crate) fn jpeg_claiming(width: u16, height: u16) -> Vec<u8> {
    let mut jpeg = jpeg(64, 64);
    let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    jpeg[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    jpeg
}

/// A small PNG whose header claims another size, bit depth and colour type.
pub(crate) fn png_claiming(width: u32, height: u32, depth: u8, color: u8) -> Vec<u8> {
    let mut png = png(8, 8);
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    png[24..26].copy_from_slice(&[depth, color]);
    let sum = crc32fast::hash(&png[12..29]).to_be_bytes();
    png[29..33].copy_from_slice(&sum);
    png
}

/// An animation of this many frames.
pub(crate) fn gif(width: u32, height: u32, frames: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new_with_speed(&mut bytes, 30);
    let frame = DynamicImage::from(photograph(width, height)).to_rgba8();
    encoder.encode_frames(std::iter::repeat_n(image::Frame::new(frame), frames)).unwrap();
    drop(encoder);
    bytes
}

fn jpeg_with(picture: &RgbImage, progressive: bool) -> Vec<u8> {
    compress(picture, picture.width(), picture.height(), PixelFormat::RGB, Subsamp::Sub2x2, progressive)
}

fn compress(
    pixels: &[u8],
    width: u32,
    height: u32,
    format: PixelFormat,
    subsamp: Subsamp,
    progressive: bool,
) -> Vec<u8> {
    let (width, height) = (width as usize, height as usize);
    let mut compressor = Compressor::new().unwrap();
    compressor.set_quality(85).unwrap();
    compressor.set_subsamp(subsamp).unwrap();
    compressor.set_progressive(progressive).unwrap();
    let image = turbojpeg::Image { pixels, width, pitch: width * format.size(), height, format };
    compressor.compress_to_vec(image).unwrap()
}
