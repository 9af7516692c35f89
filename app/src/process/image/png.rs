//! Decodes PNG; of an APNG, the default image.

mod chunks;
mod text;

use std::io::Cursor;

use image::{DynamicImage, codecs::png::PngDecoder, metadata::Orientation};

use self::chunks::PngFile;
pub use self::{
    chunks::{Chunk, PngColors, exif_data},
    text::{MAX_TEXTS, text_has_location},
};
use super::{Decoded, ImageLimits, check_size, color, decoder_error, decoder_limits, exif};
use crate::validate::ValidationError;

/// Chunks of a file, until its end or the first one that is not whole.
pub fn chunks(bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    chunks::Chunks::new(bytes)
}

/// The file with right checksums, and without the chunks that `drop` names. Returns whether it named one. What is behind the
/// end, or not a whole chunk, stays.
pub fn with_valid_checksums(bytes: &[u8], mut drop: impl FnMut(&Chunk<'_>) -> bool) -> (Vec<u8>, bool) {
    let (mut file, mut dropped, mut end) = (bytes[..chunks::SIGNATURE.len()].to_vec(), false, chunks::SIGNATURE.len());
    for chunk in chunks(bytes) {
        end = chunk.range.end;
        if drop(&chunk) {
            dropped = true;
            continue;
        }
        let checked = &bytes[chunk.range.start + 4..end - 4];
        file.extend(&bytes[chunk.range.start..end - 4]);
        file.extend(crc32fast::hash(checked).to_be_bytes());
    }
    file.extend(&bytes[end..]);
    (file, dropped)
}

pub fn decode(bytes: &[u8], limits: ImageLimits) -> Result<Decoded, ValidationError> {
    let file = PngFile::read(bytes)?;
    let orientation = file.exif.map_or(Orientation::NoTransforms, exif::orientation);
    Ok(Decoded { orientation, ..decode_file(&file, limits)? })
}

/// Decodes a PNG whose pixels are turned for display already, whatever its EXIF says.
pub fn decode_upright(bytes: &[u8], limits: ImageLimits) -> Result<Decoded, ValidationError> {
    decode_file(&PngFile::read(bytes)?, limits)
}

fn decode_file(file: &PngFile<'_>, limits: ImageLimits) -> Result<Decoded, ValidationError> {
    check_size(file.width, file.height, file.memory, limits)?;
    let decoder = PngDecoder::with_limits(Cursor::new(&file.clean), decoder_limits()).map_err(decoder_error)?;
    let image = DynamicImage::from_decoder(decoder).map_err(decoder_error)?;
    let (image, profile) = color::to_8_bits(image, color::from_png(&file.colors));
    let (width, height) = (file.width, file.height);
    Ok(Decoded { width, height, image, orientation: Orientation::NoTransforms, profile, lossless: true })
}
