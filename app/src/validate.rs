//! Validates uploads: names, descriptions, and the type and size of images. The type is detected from the content; the
//! type that the client declares is never trusted.

use image::{ImageDecoder, ImageFormat, ImageReader, Limits as DecoderLimits};
use serde::{Deserialize, Serialize};

/// In pixels. One-pixel images are trackers, not pictures.
const MIN_SIDE: u32 = 2;

/// Memory limit of a decoder, in bytes. The default of the `image` crate is 512 MiB. A progressive JPEG needs the
/// coefficients of the whole image in memory, a baseline JPEG only a few rows.
pub const MAX_DECODER_MEMORY: u64 = 256 << 20;

/// The accepted image types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageKind {
    Jpeg,
    Png,
    WebP,
    Gif,
}

/// The validated header of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageHeader {
    pub kind: ImageKind,
    /// In pixels, before EXIF rotation.
    pub width: u32,
    /// In pixels, before EXIF rotation.
    pub height: u32,
}

/// A client error in an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ValidationError {
    #[error("the form has no part named \"file\"")]
    MissingFile,
    #[error("the file is empty")]
    EmptyFile,
    #[error("the file is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("a name must have 1 to 255 characters, without control characters, / and \\")]
    InvalidName,
    #[error(
        "a description must have at most {limit} characters, without control characters other than tabs and line breaks"
    )]
    InvalidDescription { limit: usize },
    #[error("a media has at most 100 tags, each of 1 to 50 characters without control characters")]
    InvalidTags,
    #[error("{found} is not supported; use image/jpeg, image/png, image/webp or image/gif")]
    UnsupportedType { found: String },
    #[error("declared as {declared}, but the content is {found}")]
    TypeMismatch { declared: String, found: String },
    #[error("the image cannot be decoded: it is corrupt or truncated")]
    CorruptImage,
    #[error("the image has {width}×{height} pixels; each side must have at least {MIN_SIDE}")]
    TooSmall { width: u32, height: u32 },
    #[error("the image has {width}×{height} pixels; the limit is {limit} pixels in total")]
    TooManyPixels { width: u32, height: u32, limit: u64 },
    #[error("the animation has too many frames for its size")]
    TooManyFrames,
    #[error("decoding the image needs too much memory")]
    TooMuchMemory,
    #[error("the clip cannot be decoded: it is corrupt or truncated")]
    CorruptVideo,
    #[error("the file has no video track")]
    NoVideoTrack,
    /// `found` also names what is special of its pixels.
    #[error("browsers cannot all play {found}; use H.264, VP8, VP9 or AV1, without high dynamic range")]
    UnsupportedCodec { found: String },
}

impl ValidationError {
    /// The error code of the API; clients rely on it, so it must not change.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingFile => "missing_file",
            Self::EmptyFile => "empty_file",
            Self::TooLarge { .. } => "too_large",
            Self::InvalidName => "invalid_name",
            Self::InvalidDescription { .. } => "invalid_description",
            Self::InvalidTags => "invalid_tags",
            Self::UnsupportedType { .. } => "unsupported_type",
            Self::TypeMismatch { .. } => "type_mismatch",
            Self::CorruptImage => "corrupt_image",
            Self::TooSmall { .. } => "too_small",
            Self::CorruptVideo => "corrupt_video",
            Self::NoVideoTrack => "no_video_track",
            Self::UnsupportedCodec { .. } => "unsupported_codec",
            Self::TooManyPixels { .. } | Self::TooManyFrames | Self::TooMuchMemory => "too_many_pixels",
        }
    }
}

impl ImageKind {
    pub fn mime_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
        }
    }

    fn from_content(bytes: &[u8]) -> Result<Self, ValidationError> {
        match infer::get(bytes).map_or("unknown content", |found| found.mime_type()) {
            "image/jpeg" => Ok(Self::Jpeg),
            "image/png" => Ok(Self::Png),
            "image/webp" => Ok(Self::WebP),
            "image/gif" => Ok(Self::Gif),
            found => Err(ValidationError::UnsupportedType { found: found.to_owned() }),
        }
    }
}

/// Validates a display name: 1–255 characters, no control characters, no path separators, not `.` or `..`.
pub fn name(name: &str) -> Result<&str, ValidationError> {
    let valid_length = (1..=255).contains(&name.chars().count());
    let valid_chars = !name.chars().any(|c| c.is_control() || c == '/' || c == '\\') && name != "." && name != "..";
    if valid_length && valid_chars && !name.trim().is_empty() { Ok(name) } else { Err(ValidationError::InvalidName) }
}

/// Validates a description: at most 2000 characters, no control characters other than tabs and line breaks.
pub fn description(description: &str) -> Result<&str, ValidationError> {
    const LIMIT: usize = 2000;
    let valid_chars = !description.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
    if valid_chars && description.chars().count() <= LIMIT {
        Ok(description)
    } else {
        Err(ValidationError::InvalidDescription { limit: LIMIT })
    }
}

/// Validates tags: at most 100, each of 1–50 characters without control characters; trimmed, without repetitions.
pub fn tags(tags: &[String]) -> Result<Vec<String>, ValidationError> {
    let mut valid: Vec<String> = Vec::new();
    for tag in tags.iter().map(|tag| tag.trim()) {
        if !(1..=50).contains(&tag.chars().count()) || tag.chars().any(char::is_control) {
            return Err(ValidationError::InvalidTags);
        }
        if !valid.iter().any(|other| other == tag) {
            valid.push(tag.to_owned());
        }
    }
    if valid.len() <= 100 { Ok(valid) } else { Err(ValidationError::InvalidTags) }
}

/// Validates the type and the header of an image, without decoding it.
pub fn image_header(bytes: &[u8], max_pixels: u64) -> Result<ImageHeader, ValidationError> {
    if bytes.is_empty() {
        return Err(ValidationError::EmptyFile);
    }
    let kind = ImageKind::from_content(bytes)?;
    let (width, height, memory) = match kind {
        ImageKind::Jpeg => read_jpeg_header(bytes)?,
        ImageKind::Png => read_header(bytes, ImageFormat::Png)?,
        ImageKind::WebP => read_header(bytes, ImageFormat::WebP)?,
        ImageKind::Gif => read_header(bytes, ImageFormat::Gif)?,
    };
    if width < MIN_SIDE || height < MIN_SIDE {
        return Err(ValidationError::TooSmall { width, height });
    }
    if u64::from(width) * u64::from(height) > max_pixels {
        return Err(ValidationError::TooManyPixels { width, height, limit: max_pixels });
    }
    if memory > MAX_DECODER_MEMORY {
        return Err(ValidationError::TooMuchMemory);
    }
    Ok(ImageHeader { kind, width, height })
}

/// The declared type in lower case and without parameters, or `None` if it is not an image type.
fn declared_image_type(declared: &str) -> Option<String> {
    let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        // Unregistered names that old browsers send.
        "image/jpg" | "image/pjpeg" => Some("image/jpeg".into()),
        "image/x-png" => Some("image/png".into()),
        _ => essence.starts_with("image/").then_some(essence),
    }
}

/// Width and height in pixels, and the memory that decoding needs, in bytes.
fn read_header(bytes: &[u8], format: ImageFormat) -> Result<(u32, u32, u64), ValidationError> {
    let mut reader = ImageReader::with_format(std::io::Cursor::new(bytes), format);
    // The caller checks dimensions and memory.
    reader.limits(DecoderLimits::no_limits());
    let decoder = reader.into_decoder().map_err(|_| ValidationError::CorruptImage)?;
    let (width, height) = decoder.dimensions();
    Ok((width, height, decoder.total_bytes()))
}

fn read_jpeg_header(bytes: &[u8]) -> Result<(u32, u32, u64), ValidationError> {
    let header = turbojpeg::read_header(bytes).map_err(|_| ValidationError::CorruptImage)?;
    let (width, height) = (header.width as u64, header.height as u64);
    let half_samples_per_pixel = match (header.colorspace, header.subsamp) {
        (turbojpeg::Colorspace::CMYK | turbojpeg::Colorspace::YCCK, _) => 8,
        (_, turbojpeg::Subsamp::Gray) => 2,
        (_, turbojpeg::Subsamp::Sub2x2 | turbojpeg::Subsamp::Sub4x1 | turbojpeg::Subsamp::Sub1x4) => 3,
        (_, turbojpeg::Subsamp::Sub2x1 | turbojpeg::Subsamp::Sub1x2) => 4,
        _ => 6,
    };
    // A progressive JPEG needs 2 bytes for each coefficient; a baseline JPEG is decoded row by row.
    let memory = if header.is_progressive { width * height * half_samples_per_pixel } else { 0 };
    // A JPEG stores its sides in 16 bits.
    Ok((header.width as u32, header.height as u32, memory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_meaning_in_a_path_are_rejected() {
        for good in ["a", "Loma 2026 ☀.jpg", "..hidden", &"é".repeat(255)] {
            assert_eq!(name(good), Ok(good));
        }
        for bad in ["", " ", ".", "..", "a/b", "a\\b", "a\0b", "line\nbreak", "\u{85}", &"x".repeat(256)] {
            assert_eq!(name(bad), Err(ValidationError::InvalidName), "{bad:?}");
        }
    }

    #[test]
    fn only_declared_image_types_are_compared_with_the_content() {
        assert_eq!(declared_image_type("image/JPG; q=1").as_deref(), Some("image/jpeg"));
        assert_eq!(declared_image_type("application/octet-stream"), None);
        assert_eq!(declared_image_type("image/svg+xml").as_deref(), Some("image/svg+xml"));
    }

    #[test]
    fn the_error_names_the_type_of_content_that_is_not_an_image() {
        assert_eq!(image_header(b"", 1), Err(ValidationError::EmptyFile));
        assert_eq!(
            image_header(b"%PDF-1.7\n", 1),
            Err(ValidationError::UnsupportedType { found: "application/pdf".to_owned() })
        );
        assert!(matches!(image_header(b"<svg xmlns='x'/>", 1), Err(ValidationError::UnsupportedType { .. })));
        assert_eq!(image_header(b"\xff\xd8\xff\xe0 and no more", 1), Err(ValidationError::CorruptImage));
    }
}
