//! Validates the texts of uploads, and names what can be wrong with an upload.

use serde::{Deserialize, Serialize};

use crate::error_code::ErrorCode;

pub const MAX_NAME_CHARS: usize = 255;

pub const MAX_DESCRIPTION_CHARS: usize = 2000;

pub const MAX_TAGS: usize = 100;

pub const MAX_TAG_CHARS: usize = 50;

/// As the API's description has it. No pattern can tell that a name is not blank.
pub const NAME_PATTERN: &str = r"^(?!\.{1,2}$)[^\u0000-\u001f\u007f-\u009f/\\]*$";

pub const DESCRIPTION_PATTERN: &str = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$";

pub const TAG_PATTERN: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";

/// A client error in an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ValidationError {
    #[error("the form has no part named \"file\"")]
    MissingFile,
    #[error("the file is empty")]
    EmptyFile,
    #[error("the file is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("a name must have 1 to {MAX_NAME_CHARS} characters, without control characters, / and \\")]
    InvalidName,
    #[error(
        "a description must have at most {MAX_DESCRIPTION_CHARS} characters, without control characters other than tabs and line breaks"
    )]
    InvalidDescription,
    #[error("a media has at most {MAX_TAGS} tags, each of 1 to {MAX_TAG_CHARS} characters without control characters")]
    InvalidTags,
    #[error("{found} is not supported; use JPEG, PNG, WebP, GIF, AVIF, HEIC, TIFF, MP4, MOV, WebM or Matroska")]
    UnsupportedType { found: String },
    #[error("the content is {found}, but {declared} was declared")]
    OtherType { declared: String, found: String },
    #[error("the image cannot be decoded: it is corrupt or truncated")]
    CorruptImage,
    #[error("the image has {width}×{height} pixels; each side must have at least 2")]
    TooSmall { width: u32, height: u32 },
    #[error("the image has {width}×{height} pixels; the limit is {limit} pixels in total")]
    TooManyPixels { width: u32, height: u32, limit: u64 },
    #[error("the JPEG has more than {limit} scans")]
    TooManyScans { limit: u32 },
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
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::MissingFile => ErrorCode::MissingFile,
            Self::EmptyFile => ErrorCode::EmptyFile,
            Self::TooLarge { .. } => ErrorCode::TooLarge,
            Self::InvalidName => ErrorCode::InvalidName,
            Self::InvalidDescription => ErrorCode::InvalidDescription,
            Self::InvalidTags => ErrorCode::InvalidTags,
            Self::UnsupportedType { .. } => ErrorCode::UnsupportedType,
            Self::OtherType { .. } => ErrorCode::OtherType,
            Self::CorruptImage => ErrorCode::CorruptImage,
            Self::TooSmall { .. } => ErrorCode::TooSmall,
            Self::CorruptVideo => ErrorCode::CorruptVideo,
            Self::NoVideoTrack => ErrorCode::NoVideoTrack,
            Self::UnsupportedCodec { .. } => ErrorCode::UnsupportedCodec,
            Self::TooManyPixels { .. } | Self::TooManyScans { .. } | Self::TooMuchMemory => ErrorCode::TooManyPixels,
        }
    }
}

/// Validates a display name: 1–255 characters, no control characters, no path separators, not `.` or `..`.
pub fn name(name: &str) -> Result<&str, ValidationError> {
    let valid_length = (1..=MAX_NAME_CHARS).contains(&name.chars().count());
    let valid_chars = !name.chars().any(|c| c.is_control() || c == '/' || c == '\\') && name != "." && name != "..";
    if valid_length && valid_chars && !name.trim().is_empty() { Ok(name) } else { Err(ValidationError::InvalidName) }
}

/// Validates a description: at most 2000 characters, no control characters other than tabs and line breaks.
pub fn description(description: &str) -> Result<&str, ValidationError> {
    let valid_chars = !description.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
    if valid_chars && description.chars().count() <= MAX_DESCRIPTION_CHARS {
        Ok(description)
    } else {
        Err(ValidationError::InvalidDescription)
    }
}

/// Validates tags: at most 100, each of 1–50 characters without control characters; trimmed, without repetitions.
pub fn tags(tags: &[String]) -> Result<Vec<String>, ValidationError> {
    let mut valid: Vec<String> = Vec::new();
    for tag in tags.iter().map(|tag| tag.trim()) {
        if !(1..=MAX_TAG_CHARS).contains(&tag.chars().count()) || tag.chars().any(char::is_control) {
            return Err(ValidationError::InvalidTags);
        }
        if !valid.iter().any(|other| other == tag) {
            valid.push(tag.to_owned());
        }
        if valid.len() > MAX_TAGS {
            return Err(ValidationError::InvalidTags);
        }
    }
    Ok(valid)
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
    fn an_error_survives_the_way_between_two_processes() {
        for error in [
            ValidationError::CorruptImage,
            ValidationError::UnsupportedType { found: "arithmetic-coded JPEG".into() },
            ValidationError::TooManyPixels { width: 9000, height: 9000, limit: 40_000_000 },
        ] {
            let text = serde_json::to_string(&error).unwrap();
            assert_eq!(serde_json::from_str::<ValidationError>(&text).unwrap(), error);
        }
    }
}
