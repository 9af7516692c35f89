//! Encodes what is derived of an image.

use std::io::Cursor;

use image::{
    DynamicImage,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};
use webpx::{Encoder, Unstoppable};

use super::{PLACEHOLDER_SIDE, resize::Pixels};
use crate::validate::ValidationError;

/// WebP quality, 0 to 100. A thumbnail of a photograph has about 14 KB.
const QUALITY: f32 = 80.0;

/// libwebp's effort, 0 to 6. More than 4 takes twice the time for 4 % less.
const METHOD: u8 = 4;

/// Encodes as WebP. `unchanged` pixels are kept as they are, if that is no larger: drawings, for which lossy compression is
/// not made.
pub fn webp(image: &DynamicImage, unchanged: bool) -> Result<Vec<u8>, ValidationError> {
    let lossy = encode_webp(image, false)?;
    if !unchanged {
        return Ok(lossy);
    }
    let lossless = encode_webp(image, true)?;
    Ok(if lossless.len() <= lossy.len() { lossless } else { lossy })
}

/// Encodes as PNG, fast: the best compression takes 30 times as long for 3 % less.
pub fn png(image: &DynamicImage) -> Result<Vec<u8>, ValidationError> {
    let mut png = Cursor::new(Vec::new());
    let encoder = PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Adaptive);
    image.write_with_encoder(encoder).map_err(|_| ValidationError::TooMuchMemory)?;
    Ok(png.into_inner())
}

pub fn thumbhash(image: DynamicImage) -> Vec<u8> {
    let (width, height) = (image.width(), image.height());
    let small = Pixels::new(image).fit(width, height, PLACEHOLDER_SIDE).into_rgba8();
    thumbhash::rgba_to_thumb_hash(small.width() as usize, small.height() as usize, &small)
}

fn encode_webp(image: &DynamicImage, lossless: bool) -> Result<Vec<u8>, ValidationError> {
    let (width, height) = (image.width(), image.height());
    let encode = |encoder: Encoder<'_>| encoder.quality(QUALITY).method(METHOD).lossless(lossless).encode(Unstoppable);
    let encoded = if image.color().has_alpha() {
        encode(Encoder::new_rgba(&image.to_rgba8(), width, height))
    } else {
        encode(Encoder::new_rgb(&image.to_rgb8(), width, height))
    };
    encoded.map_err(|_| ValidationError::TooMuchMemory)
}
