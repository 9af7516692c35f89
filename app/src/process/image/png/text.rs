//! Places in the texts of a PNG file.

use std::borrow::Cow;

use super::chunks::{Chunk, inflate};
use crate::process::image::{MAX_METADATA, exif};

/// What the texts of a file may decompress to, in bytes: it can have thousands of decompression bombs.
pub const MAX_TEXTS: usize = 16 << 20;

/// Whether a text names a place: XMP that is compressed, or EXIF that ImageMagick and others write as a text of hexadecimal
/// digits. `left` is what the texts of the file may still decompress to, in bytes; texts that are too large are left out.
pub fn text_has_location(chunk: &Chunk<'_>, left: &mut usize) -> bool {
    let Some((keyword, text)) = text(chunk, left) else { return false };
    if let Some(profile) = keyword.strip_prefix(b"Raw profile type ") {
        let data = raw_profile(&text);
        return match profile {
            b"exif" | b"APP1" => exif::has_location(data.strip_prefix(b"Exif\0\0").unwrap_or(&data)) || has_xmp(&data),
            _ => has_xmp(&data),
        };
    }
    has_xmp(&text)
}

fn has_xmp(text: &[u8]) -> bool {
    memchr::memmem::find(text, b"exif:GPS").is_some()
}

/// The keyword and the text of a chunk.
fn text<'a>(chunk: &Chunk<'a>, left: &mut usize) -> Option<(&'a [u8], Cow<'a, [u8]>)> {
    let (keyword, rest) = split_at_nul(chunk.data)?;
    let mut inflate = |compressed| {
        let text = inflate(compressed, *left);
        // One that is too large has taken as much as it may.
        *left = left.saturating_sub(text.as_ref().map_or(MAX_METADATA, Vec::len));
        text
    };
    let text = match &chunk.name {
        b"tEXt" => rest.into(),
        b"zTXt" => inflate(rest.get(1..)?)?.into(),
        b"iTXt" => {
            // Whether it is compressed, the method, the language, the translated keyword.
            let [is_compressed, _, rest @ ..] = rest else { return None };
            let (_, rest) = split_at_nul(rest)?;
            let (_, text) = split_at_nul(rest)?;
            if *is_compressed == 0 { text.into() } else { inflate(text)?.into() }
        }
        _ => return None,
    };
    Some((keyword, text))
}

fn split_at_nul(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let nul = memchr::memchr(0, bytes)?;
    Some((&bytes[..nul], &bytes[nul + 1..]))
}

/// A line break, the profile's name, its length in bytes, then the bytes as hexadecimal digits in lines.
fn raw_profile(text: &[u8]) -> Vec<u8> {
    let digits = text.split(|byte| *byte == b'\n').skip(3).flatten().filter(|byte| byte.is_ascii_hexdigit());
    let digits: Vec<u8> = digits.copied().collect();
    hex::decode(&digits[..digits.len() & !1]).unwrap_or_default()
}
