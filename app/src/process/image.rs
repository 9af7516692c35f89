//! Everything that the service makes of an image: the proof that it is whole, its size, its small pictures, and what its
//! metadata says. All of it blocks, and works on bytes in memory.

mod color;
mod encode;
mod exif;
mod gif;
mod grey;
mod heif;
mod jpeg;
mod kind;
mod location;
#[cfg(test)]
mod media_cases;
mod png;
mod resize;
#[cfg(test)]
mod tests;
mod tiff;
mod webp;

use ::image::{DynamicImage, metadata::Orientation};
use moxcms::ColorProfile;
use serde::{Deserialize, Serialize};

pub use self::grey::{GreyImage, upright_grey};
use self::{kind::ImageKind, resize::Pixels};
use crate::validate::ValidationError;

/// Longest side of a thumbnail, in pixels.
const THUMBNAIL_SIDE: u32 = 600;

/// Longest side of the picture for the clipboard, in pixels.
const CLIPBOARD_SIDE: u32 = 1024;

/// Formats that can be decoded at a smaller size are, down to this longest side, in pixels: 1.6 times that of the larger picture. Below
/// that, the loss can be measured: a structural similarity of less than 0.99 with a picture of all pixels.
const DECODED_SIDE: u32 = CLIPBOARD_SIDE * 8 / 5;

/// Of a placeholder's source, in pixels; more adds nothing to it.
const PLACEHOLDER_SIDE: u32 = 100;

/// In pixels. One-pixel images are trackers, not pictures.
const MIN_SIDE: u32 = 2;

/// The memory that a decoder may need, in bytes.
const MAX_DECODER_MEMORY: u64 = 256 << 20;

/// Metadata that is larger is ignored, in bytes: compressed, it can be a decompression bomb.
const MAX_METADATA: usize = 4 << 20;

/// What the deployment allows.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ImageLimits {
    /// Pixels of an image, of an animation of each frame.
    pub max_pixels: u64,
}

/// What the service keeps of an image beside the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DerivedImage {
    pub mime_type: String,
    /// Of the original as it is displayed, in pixels.
    pub width: u32,
    /// Of the original as it is displayed, in pixels.
    pub height: u32,
    /// WebP in sRGB without metadata, turned for display; the longest side has at most 600 pixels. Never enlarged.
    pub thumbnail: Vec<u8>,
    /// PNG in sRGB without metadata, turned for display; the longest side has at most 1024 pixels. Never enlarged.
    pub clipboard: Vec<u8>,
    /// A placeholder of about 25 bytes: <https://evanw.github.io/thumbhash>.
    pub thumbhash: Vec<u8>,
    /// By the camera's clock, as ISO 8601; with the offset from UTC, if the camera recorded one.
    pub captured_at: Option<String>,
    /// Maker and model.
    pub camera: Option<String>,
    /// Whether the metadata names a place.
    pub has_location: bool,
    /// The same file without that place; empty if it names none.
    pub without_location: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub enum DeriveError {
    /// The file's fault, for good.
    #[error(transparent)]
    Invalid(#[from] ValidationError),
    /// This machine's fault: another attempt can succeed.
    #[error("deriving the pictures failed: {0}")]
    Internal(#[from] std::io::Error),
}

/// What a format's decoder gives.
struct Decoded {
    /// Of the original before it is turned, in pixels.
    width: u32,
    /// Of the original before it is turned, in pixels.
    height: u32,
    /// May be scaled down, as far as [`DECODED_SIDE`]. Of an animation, the first frame.
    image: DynamicImage,
    orientation: Orientation,
    /// Of the pixels; `None` for sRGB.
    profile: Option<ColorProfile>,
    /// Whether the file has each pixel as it was drawn. A lossy file's pixels are not worth a lossless thumbnail.
    lossless: bool,
}

/// The size of the thumbnail of a picture of this size, in pixels.
pub fn thumbnail_size(width: u32, height: u32) -> (u32, u32) {
    resize::fitting_size(width, height, THUMBNAIL_SIDE)
}

/// Validates an image and derives everything from it. The file's type is that of its content. Takes tens to hundreds of
/// milliseconds of one CPU, and up to about 400 MiB of memory.
pub fn derive(bytes: &[u8], limits: ImageLimits) -> Result<DerivedImage, DeriveError> {
    let kind = ImageKind::from_content(bytes)?;
    let Decoded { width, height, image, orientation, profile, lossless } = decode(bytes, kind, limits, DECODED_SIDE)?;

    let pixels = Pixels::new(image).reduced(DECODED_SIDE);
    // Few pixels are converted and turned, so these come last.
    let small = |side| {
        let mut image = color::to_srgb(pixels.fit(width, height, side), profile.as_ref());
        image.apply_orientation(orientation);
        image
    };
    let (clipboard, thumbnail) = (small(CLIPBOARD_SIDE), small(THUMBNAIL_SIDE));
    drop(pixels);
    let unchanged = lossless && width.max(height) <= THUMBNAIL_SIDE;

    let metadata = location::metadata(kind, bytes);
    let (width, height) = if swaps_sides(orientation) { (height, width) } else { (width, height) };
    Ok(DerivedImage {
        mime_type: kind.mime_type().into(),
        width,
        height,
        thumbnail: encode::webp(&thumbnail, unchanged)?,
        clipboard: encode::png(&clipboard)?,
        thumbhash: encode::thumbhash(thumbnail),
        captured_at: metadata.capture.captured_at,
        camera: metadata.capture.camera,
        has_location: metadata.has_location,
        without_location: location::without_location(bytes).unwrap_or_default(),
    })
}

/// Decodes an image, if its format can, at a smaller size, as far as the longest side stays at least `min_side` pixels.
fn decode(bytes: &[u8], kind: ImageKind, limits: ImageLimits, min_side: u32) -> Result<Decoded, DeriveError> {
    Ok(match kind {
        ImageKind::Jpeg => jpeg::decode(bytes, limits, min_side)?,
        ImageKind::Png => png::decode(bytes, limits)?,
        ImageKind::WebP => webp::decode(bytes, limits, min_side)?,
        ImageKind::Gif => gif::decode(bytes, limits)?,
        ImageKind::Tiff => tiff::decode(bytes, limits)?,
        ImageKind::Avif | ImageKind::Heic => heif::decode(bytes, kind, limits, min_side, |command| command.output())?,
    })
}

/// Checks a header before anything is decoded. `memory` is what the decoder will need, in bytes.
fn check_size(width: u32, height: u32, memory: u64, limits: ImageLimits) -> Result<(), ValidationError> {
    if width < MIN_SIDE || height < MIN_SIDE {
        return Err(ValidationError::TooSmall { width, height });
    }
    if u64::from(width) * u64::from(height) > limits.max_pixels {
        return Err(ValidationError::TooManyPixels { width, height, limit: limits.max_pixels });
    }
    if memory > MAX_DECODER_MEMORY { Err(ValidationError::TooMuchMemory) } else { Ok(()) }
}

/// The limits of the decoders of the crate `image`.
fn decoder_limits() -> ::image::Limits {
    let mut limits = ::image::Limits::no_limits();
    limits.max_alloc = Some(MAX_DECODER_MEMORY);
    limits
}

fn decoder_error(error: ::image::ImageError) -> ValidationError {
    match error {
        ::image::ImageError::Limits(_) => ValidationError::TooMuchMemory,
        _ => ValidationError::CorruptImage,
    }
}

fn swaps_sides(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    )
}
