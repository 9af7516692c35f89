//! Whether an upload is acceptable, judged by its content. What the client declares is never trusted.

use image::{ImageDecoder, ImageFormat, ImageReader, Limits as DecoderLimits};

/// The shortest side that is a picture, in pixels; one-pixel images are trackers, not pictures.
const MIN_SIDE: u32 = 2;

/// What a decoder may allocate, in bytes. The `image` crate's own limit is 512 MiB, and a progressive JPEG needs its
/// whole picture as coefficients where a baseline one needs a few rows.
pub const DECODER_MEMORY: u64 = 256 << 20;

/// The types that are accepted: exactly those that are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageKind {
    /// image/jpeg
    Jpeg,
    /// image/png
    Png,
    /// image/webp
    WebP,
    /// image/gif
    Gif,
}

/// What the header of an acceptable picture says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// Its type by content.
    pub kind: ImageKind,
    /// Width as stored, in pixels.
    pub width: u32,
    /// Height as stored, in pixels.
    pub height: u32,
}

/// Why an upload is refused. The client is to blame for every one of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each variant's message says it")]
pub enum Refusal {
    #[error("there is no part named \"file\" in the form")]
    MissingFile,
    #[error("the file is empty")]
    EmptyFile,
    #[error("the file is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("a name has 1 to 255 characters, no control characters, no / and no \\")]
    InvalidName,
    #[error("a description has at most {limit} characters and no control characters but line breaks")]
    InvalidDescription { limit: usize },
    #[error("{found} is not accepted; image/jpeg, image/png, image/webp and image/gif are")]
    UnsupportedType { found: &'static str },
    #[error("declared as {declared}, but the content is {found}")]
    TypeMismatch { declared: String, found: &'static str },
    #[error("the picture cannot be decoded: it is damaged or cut off")]
    CorruptImage,
    #[error("the picture is {width}×{height}; each side must have at least 2 pixels")]
    TooSmall { width: u32, height: u32 },
    #[error("the picture is {width}×{height}; at most {limit} pixels are accepted")]
    TooManyPixels { width: u32, height: u32, limit: u64 },
    #[error("the picture has too many frames for its size")]
    TooManyFrames,
    #[error("the picture would need too much memory to decode")]
    TooMuchMemory,
}

impl Refusal {
    /// The stable code that clients can rely on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingFile => "missing_file",
            Self::EmptyFile => "empty_file",
            Self::TooLarge { .. } => "too_large",
            Self::InvalidName => "invalid_name",
            Self::InvalidDescription { .. } => "invalid_description",
            Self::UnsupportedType { .. } => "unsupported_type",
            Self::TypeMismatch { .. } => "type_mismatch",
            Self::CorruptImage => "corrupt_image",
            Self::TooSmall { .. } => "too_small",
            Self::TooManyPixels { .. } | Self::TooManyFrames | Self::TooMuchMemory => "too_many_pixels",
        }
    }
}

impl ImageKind {
    /// Its media type.
    pub fn mime_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
        }
    }

    fn from_content(bytes: &[u8]) -> Result<Self, Refusal> {
        match infer::get(bytes).map_or("content of an unknown type", |found| found.mime_type()) {
            "image/jpeg" => Ok(Self::Jpeg),
            "image/png" => Ok(Self::Png),
            "image/webp" => Ok(Self::WebP),
            "image/gif" => Ok(Self::Gif),
            found => Err(Refusal::UnsupportedType { found }),
        }
    }
}

/// Checks a display name: 1–255 characters, no control characters, nothing that means something in a path.
///
/// # Errors
/// [`Refusal::InvalidName`]
pub fn name(name: &str) -> Result<&str, Refusal> {
    let long_enough = (1..=255).contains(&name.chars().count());
    let harmless = !name.chars().any(|c| c.is_control() || c == '/' || c == '\\') && name != "." && name != "..";
    if long_enough && harmless && !name.trim().is_empty() { Ok(name) } else { Err(Refusal::InvalidName) }
}

/// Checks a description: at most 2000 characters, no control characters but line breaks.
///
/// # Errors
/// [`Refusal::InvalidDescription`]
pub fn description(description: &str) -> Result<&str, Refusal> {
    const LIMIT: usize = 2000;
    let harmless = !description.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
    if harmless && description.chars().count() <= LIMIT {
        Ok(description)
    } else {
        Err(Refusal::InvalidDescription { limit: LIMIT })
    }
}

/// Looks at a picture's type and header, before anything of it is decoded. `declared` is the client's content type; one
/// that names another image type is a mistake worth telling, any other (such as application/octet-stream) is ignored.
///
/// # Errors
/// The [`Refusal`] that applies first.
pub fn inspect(bytes: &[u8], declared: Option<&str>, max_pixels: u64) -> Result<Inspected, Refusal> {
    if bytes.is_empty() {
        return Err(Refusal::EmptyFile);
    }
    let kind = ImageKind::from_content(bytes)?;
    let (width, height, memory) = match kind {
        ImageKind::Jpeg => jpeg_header(bytes)?,
        ImageKind::Png => header(bytes, ImageFormat::Png)?,
        ImageKind::WebP => header(bytes, ImageFormat::WebP)?,
        ImageKind::Gif => header(bytes, ImageFormat::Gif)?,
    };
    if let Some(declared) = declared.and_then(declared_image_type)
        && declared != kind.mime_type()
    {
        return Err(Refusal::TypeMismatch { declared, found: kind.mime_type() });
    }
    if width < MIN_SIDE || height < MIN_SIDE {
        return Err(Refusal::TooSmall { width, height });
    }
    if u64::from(width) * u64::from(height) > max_pixels {
        return Err(Refusal::TooManyPixels { width, height, limit: max_pixels });
    }
    if memory > DECODER_MEMORY {
        return Err(Refusal::TooMuchMemory);
    }
    Ok(Inspected { kind, width, height })
}

/// The declared type where it is an image's, without parameters and in lower case.
fn declared_image_type(declared: &str) -> Option<String> {
    let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        // Names that never were registered, but that old browsers send.
        "image/jpg" | "image/pjpeg" => Some("image/jpeg".into()),
        "image/x-png" => Some("image/png".into()),
        _ => essence.starts_with("image/").then_some(essence),
    }
}

/// Width, height and the memory that decoding takes, in pixels and bytes.
fn header(bytes: &[u8], format: ImageFormat) -> Result<(u32, u32, u64), Refusal> {
    let mut reader = ImageReader::with_format(std::io::Cursor::new(bytes), format);
    // Dimensions are judged by the caller, with the numbers in hand; memory too.
    reader.limits(DecoderLimits::no_limits());
    let decoder = reader.into_decoder().map_err(|_| Refusal::CorruptImage)?;
    let (width, height) = decoder.dimensions();
    Ok((width, height, decoder.total_bytes()))
}

fn jpeg_header(bytes: &[u8]) -> Result<(u32, u32, u64), Refusal> {
    let header = turbojpeg::read_header(bytes).map_err(|_| Refusal::CorruptImage)?;
    let (width, height) = (header.width as u64, header.height as u64);
    let half_samples_per_pixel = match (header.colorspace, header.subsamp) {
        (turbojpeg::Colorspace::CMYK | turbojpeg::Colorspace::YCCK, _) => 8,
        (_, turbojpeg::Subsamp::Gray) => 2,
        (_, turbojpeg::Subsamp::Sub2x2 | turbojpeg::Subsamp::Sub4x1 | turbojpeg::Subsamp::Sub1x4) => 3,
        (_, turbojpeg::Subsamp::Sub2x1 | turbojpeg::Subsamp::Sub1x2) => 4,
        _ => 6,
    };
    // Two bytes for each coefficient of the whole picture; a baseline picture is decoded row by row.
    let memory = if header.is_progressive { width * height * half_samples_per_pixel } else { 0 };
    // JPEG's sides have 16 bits.
    Ok((header.width as u32, header.height as u32, memory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_something_in_a_path_are_refused() {
        for good in ["a", "Loma 2026 ☀.jpg", "..hidden", &"é".repeat(255)] {
            assert_eq!(name(good), Ok(good));
        }
        for bad in ["", " ", ".", "..", "a/b", "a\\b", "a\0b", "line\nbreak", "\u{85}", &"x".repeat(256)] {
            assert_eq!(name(bad), Err(Refusal::InvalidName), "{bad:?}");
        }
    }

    #[test]
    fn only_a_declared_image_type_is_compared() {
        assert_eq!(declared_image_type("image/JPG; q=1").as_deref(), Some("image/jpeg"));
        assert_eq!(declared_image_type("application/octet-stream"), None);
        assert_eq!(declared_image_type("image/svg+xml").as_deref(), Some("image/svg+xml"));
    }

    #[test]
    fn content_that_is_no_picture_is_named() {
        assert_eq!(inspect(b"", None, 1), Err(Refusal::EmptyFile));
        assert_eq!(
            inspect(b"%PDF-1.7\n", Some("image/png"), 1),
            Err(Refusal::UnsupportedType { found: "application/pdf" })
        );
        assert!(matches!(inspect(b"<svg xmlns='x'/>", None, 1), Err(Refusal::UnsupportedType { .. })));
        assert_eq!(inspect(b"\xff\xd8\xff\xe0 and no more", None, 1), Err(Refusal::CorruptImage));
    }
}
