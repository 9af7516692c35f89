//! Where metadata says that a picture was taken, and the same file without that. Values are overwritten in place, so nothing
//! else in the file moves: neither pixels nor the offsets that point to them.
//!
//! Places are in EXIF's table of GPS values, and in the GPS properties of XMP. What makers write into notes of their own is
//! not known to any reader but theirs.

#[cfg(test)]
pub mod tests;

use std::ops::Range;

use super::{exif, heif, kind::ImageKind, png, webp};

/// What XMP's GPS properties begin with (XMP specification, part 2, "EXIF schema").
const XMP_PROPERTY: &[u8] = b"exif:GPS";

/// How many segments with EXIF of a JPEG are read. A hostile file has a million, each with the values of the others.
const MAX_JPEG_BLOCKS: usize = 100;

/// The longest property of XMP's GPS values, in bytes.
const MAX_PROPERTY: usize = 512;

#[derive(Debug, Default)]
pub struct Metadata {
    pub capture: exif::Capture,
    pub has_location: bool,
}

pub fn metadata(kind: ImageKind, bytes: &[u8]) -> Metadata {
    let blocks = exif_blocks(kind, bytes);
    let capture = blocks.first().map(|block| exif::capture(&bytes[block.clone()])).unwrap_or_default();
    let mut left = png::MAX_TEXTS;
    let in_text = kind == ImageKind::Png && png::chunks(bytes).any(|chunk| png::text_has_location(&chunk, &mut left));
    let has_location = in_text
        || !xmp_properties(bytes).is_empty()
        || blocks.into_iter().any(|block| exif::has_location(&bytes[block]));
    Metadata { capture, has_location }
}

/// The same file without the place that its metadata names, or `None` if it names none. The pixels stay as they are.
pub fn without_location(bytes: &[u8]) -> Option<Vec<u8>> {
    let kind = ImageKind::from_content(bytes).ok()?;
    let mut copy = bytes.to_vec();
    let mut changed = false;
    for block in exif_blocks(kind, bytes) {
        changed |= exif::blank_location(&mut copy[block]);
    }
    for property in xmp_properties(bytes) {
        copy[property].fill(b' ');
        changed = true;
    }
    if kind == ImageKind::Png {
        let mut left = png::MAX_TEXTS;
        let (rebuilt, dropped) = png::with_valid_checksums(&copy, |chunk| png::text_has_location(chunk, &mut left));
        changed |= dropped;
        copy = rebuilt;
    }
    changed.then_some(copy)
}

/// Where EXIF data is in the file, that of the main image first.
fn exif_blocks(kind: ImageKind, bytes: &[u8]) -> Vec<Range<usize>> {
    match kind {
        // A photograph can have others in it and behind it, with EXIF of their own.
        ImageKind::Jpeg => {
            let found = memchr::memmem::find_iter(bytes, b"Exif\0").filter_map(|at| jpeg_block(bytes, at));
            found.take(MAX_JPEG_BLOCKS).collect()
        }
        ImageKind::Png => png::chunks(bytes)
            .filter_map(|chunk| {
                png::exif_data(&chunk).map(|data| chunk.range.end - 4 - data.len()..chunk.range.end - 4)
            })
            .collect(),
        ImageKind::WebP => {
            let chunks = webp::whole_chunks(bytes).unwrap_or_default().into_iter();
            let exif = chunks.filter(|chunk| chunk.name == *b"EXIF");
            exif.map(|chunk| chunk.range.end - webp::strip_signature(chunk.data).len()..chunk.range.end).collect()
        }
        ImageKind::Tiff => std::iter::once(0..bytes.len()).collect(),
        ImageKind::Avif | ImageKind::Heic => heif::exif_block(bytes).into_iter().collect(),
        ImageKind::Gif => Vec::new(),
    }
}

/// The EXIF data of a segment, by the place of its signature.
fn jpeg_block(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let [0xff, 0xe1, high, low] = *bytes.get(at.checked_sub(4)?..)?.first_chunk()? else { return None };
    let end = at - 2 + usize::from(u16::from_be_bytes([high, low]));
    (at + 6 <= end && end <= bytes.len()).then_some(at + 6..end)
}

/// Where XMP names a place: attributes `exif:GPSLatitude="…"` and elements `<exif:GPSLatitude>…</exif:GPSLatitude>`. XMP
/// is plain text in every format, except in PNG where it may be compressed.
fn xmp_properties(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut properties: Vec<Range<usize>> = Vec::new();
    for at in memchr::memmem::find_iter(bytes, XMP_PROPERTY) {
        if properties.last().is_some_and(|last| at < last.end) {
            continue;
        }
        let rest = &bytes[at..bytes.len().min(at + MAX_PROPERTY)];
        let name = rest.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b':').unwrap_or(rest.len());
        let is_element = at > 0 && bytes[at - 1] == b'<';
        let length = if is_element {
            let end = [b"</", &rest[..name], b">"].concat();
            memchr::memmem::find(rest, &end).map(|found| found + end.len())
        } else {
            let open = rest[name..].iter().position(|byte| matches!(byte, b'"' | b'\'')).map(|found| name + found);
            open.and_then(|open| rest[open + 1..].iter().position(|byte| *byte == rest[open]).map(|end| open + end + 2))
        };
        // What is not understood is overwritten too, as far as its name goes.
        let start = if is_element { at - 1 } else { at };
        properties.push(start..at + length.unwrap_or(name));
    }
    properties
}
