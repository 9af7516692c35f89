//! What a file is, by its first bytes: the content decides, never its name or its declared type.

use std::{io, path::Path};

use tokio::io::AsyncReadExt;

use crate::validate::ValidationError;

/// Detection looks no further, in bytes.
pub const HEAD: u64 = 4096;

/// What decodes a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentKind {
    Image,
    Video,
}

/// What a file seems to be; decoding it may show more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    pub kind: ContentKind,
    pub mime_type: &'static str,
}

/// # Errors
/// [`ValidationError::UnsupportedType`] with what the content seems to be.
pub fn detect(head: &[u8]) -> Result<Content, ValidationError> {
    let mime_type = infer::get(head).map_or("unknown content", |found| found.mime_type());
    let kind = match mime_type {
        "image/jpeg" | "image/png" | "image/webp" | "image/gif" | "image/avif" | "image/heif" | "image/tiff" => {
            ContentKind::Image
        }
        "video/mp4" | "video/x-m4v" | "video/quicktime" | "video/webm" | "video/x-matroska" => ContentKind::Video,
        found => return Err(ValidationError::UnsupportedType { found: found.to_owned() }),
    };
    Ok(Content { kind, mime_type })
}

/// The first bytes of a file, enough for [`detect`].
pub async fn head(file: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD as usize);
    fs_err::tokio::File::open(file).await?.take(HEAD).read_to_end(&mut head).await?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_picture_or_clip_is_named() {
        assert_eq!(detect(b"\x89PNG\r\n\x1a\n").unwrap().kind, ContentKind::Image);
        assert_eq!(detect(b"\0\0\0\x18ftypmp42\0\0\0\0").unwrap().kind, ContentKind::Video);
        for (hostile, found) in [
            (&b"%PDF-1.7\n"[..], "application/pdf"),
            (b"#EXTM3U\nfile:///etc/passwd", "unknown content"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unknown content"),
            (b"", "unknown content"),
        ] {
            assert_eq!(detect(hostile), Err(ValidationError::UnsupportedType { found: found.into() }));
        }
    }
}
