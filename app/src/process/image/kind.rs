//! The type of an image, by its content. What the client declares and how it names the file decides nothing.

use crate::validate::ValidationError;

/// The accepted image types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageKind {
    Jpeg,
    Png,
    WebP,
    Gif,
    Tiff,
    Avif,
    Heic,
}

impl ImageKind {
    /// Fails with the name of what the content is instead.
    pub fn from_content(bytes: &[u8]) -> Result<Self, ValidationError> {
        if bytes.is_empty() {
            return Err(ValidationError::EmptyFile);
        }
        match infer::get(bytes).map_or("unknown content", |found| found.mime_type()) {
            "image/jpeg" => Ok(Self::Jpeg),
            "image/png" => Ok(Self::Png),
            "image/webp" => Ok(Self::WebP),
            "image/gif" => Ok(Self::Gif),
            "image/tiff" => Ok(Self::Tiff),
            "image/avif" => Ok(Self::Avif),
            "image/heif" => Ok(Self::Heic),
            found => Err(ValidationError::UnsupportedType { found: found.into() }),
        }
    }

    pub fn mime_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
            Self::Tiff => "image/tiff",
            Self::Avif => "image/avif",
            Self::Heic => "image/heic",
        }
    }
}
