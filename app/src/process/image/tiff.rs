//! Decodes the first image of a TIFF file.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder as _, codecs::tiff::TiffDecoder};

use super::{Decoded, ImageLimits, MAX_METADATA, check_size, color, decoder_error, decoder_limits, exif};
use crate::validate::ValidationError;

pub fn decode(bytes: &[u8], limits: ImageLimits) -> Result<Decoded, ValidationError> {
    if exif::is_preview(bytes) {
        return Err(ValidationError::UnsupportedType { found: "raw photograph".into() });
    }
    let mut decoder = TiffDecoder::new(Cursor::new(bytes)).map_err(decoder_error)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, decoder.total_bytes(), limits)?;
    decoder.set_limits(decoder_limits()).map_err(decoder_error)?;
    let profile = decoder.icc_profile().ok().flatten().filter(|profile| profile.len() <= MAX_METADATA);
    let image = DynamicImage::from_decoder(decoder).map_err(decoder_error)?;
    let (image, profile) = color::to_8_bits(image, profile.as_deref().and_then(color::from_icc));
    Ok(Decoded { width, height, image, orientation: exif::orientation(bytes), profile, lossless: true })
}
