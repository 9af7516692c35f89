//! Decodes JPEG, scaled down as far as its longest side stays large enough: this needs a fraction of the time and memory,
//! and still reads every byte.

mod segments;

use image::{DynamicImage, GrayImage, RgbImage, metadata::Orientation};
use moxcms::ColorProfile;
use turbojpeg::{Colorspace, Decompressor, PixelFormat, ScalingFactor};

use super::{Decoded, ImageLimits, check_size, color, exif};
use crate::validate::ValidationError;

/// Fails if the file is damaged, or if it is of a kind that no browser shows.
pub fn decode(bytes: &[u8], limits: ImageLimits, min_side: u32) -> Result<Decoded, ValidationError> {
    let file = segments::read(bytes)?;
    let (width, height) = (file.width, file.height);
    check_size(width, height, file.memory, limits)?;
    let profile = file.icc.as_deref().and_then(color::from_icc);
    let (image, profile) = decompress(&file.clean, profile, min_side)?;
    let orientation = file.exif.map_or(Orientation::NoTransforms, exif::orientation);
    Ok(Decoded { width, height, image, orientation, profile, lossless: false })
}

/// The same of a file that is turned already, though its EXIF data may say otherwise.
pub fn decode_upright(bytes: &[u8], limits: ImageLimits, min_side: u32) -> Result<Decoded, ValidationError> {
    Ok(Decoded { orientation: Orientation::NoTransforms, ..decode(bytes, limits, min_side)? })
}

/// The pixels, and the profile that they still have to be converted by.
fn decompress(
    jpeg: &[u8],
    profile: Option<ColorProfile>,
    min_side: u32,
) -> Result<(DynamicImage, Option<ColorProfile>), ValidationError> {
    let corrupt = |_| ValidationError::CorruptImage;
    let mut decompressor = Decompressor::new().map_err(corrupt)?;
    let header = decompressor.read_header(jpeg).map_err(corrupt)?;

    let longest = header.width.max(header.height);
    let scales = [ScalingFactor::ONE_EIGHTH, ScalingFactor::ONE_QUARTER, ScalingFactor::ONE_HALF];
    let scale = scales.into_iter().find(|scale| scale.scale(longest) >= min_side as usize);
    let scale = scale.unwrap_or(ScalingFactor::ONE);
    decompressor.set_scaling_factor(scale).map_err(corrupt)?;

    let format = match header.colorspace {
        Colorspace::Gray => PixelFormat::GRAY,
        Colorspace::CMYK | Colorspace::YCCK => PixelFormat::CMYK,
        _ => PixelFormat::RGB,
    };
    let (width, height) = (scale.scale(header.width), scale.scale(header.height));
    let pitch = width * format.size();
    let mut pixels = vec![0; pitch * height];
    let output = turbojpeg::Image { pixels: pixels.as_mut_slice(), width, pitch, height, format };
    if let Err(error) = decompressor.decompress(jpeg, output)
        && !is_harmless(&error.to_string())
    {
        return Err(ValidationError::CorruptImage);
    }

    // A JPEG stores its sides in 16 bits.
    let (width, height) = (width as u32, height as u32);
    let (image, profile) = match format {
        PixelFormat::GRAY => (GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8), profile),
        PixelFormat::CMYK => {
            let rgb = color::cmyk_to_srgb(pixels, profile.as_ref());
            (RgbImage::from_raw(width, height, rgb).map(DynamicImage::ImageRgb8), None)
        }
        _ => (RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8), profile),
    };
    Ok((image.ok_or(ValidationError::CorruptImage)?, profile))
}

/// A warning of libjpeg (jerror.h) that is ignored: files straight from cameras cause it between two scans, and no pixel is
/// lost.
fn is_harmless(message: &str) -> bool {
    message.contains("extraneous bytes before marker")
}
