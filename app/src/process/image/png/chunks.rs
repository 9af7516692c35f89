//! The chunks of a PNG file (W3C, Portable Network Graphics, third edition).

use std::{io::Read as _, ops::Range};

use flate2::read::ZlibDecoder;

use super::super::MAX_METADATA;
use crate::validate::ValidationError;

pub const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// An empty chunk IEND with its checksum.
const END: [u8; 12] = *b"\0\0\0\0IEND\xae\x42\x60\x82";

pub struct Chunk<'a> {
    pub name: [u8; 4],
    pub data: &'a [u8],
    /// The whole chunk in the file: length, name, data, checksum.
    pub range: Range<usize>,
    /// Whether the checksum is right.
    pub intact: bool,
}

/// What the file says of the meaning of its values. The first that is there counts.
#[derive(Default)]
pub struct PngColors {
    /// Primaries, transfer function, matrix, full range: numbers of ITU-T H.273.
    pub cicp: Option<[u8; 4]>,
    pub icc: Option<Vec<u8>>,
    /// Whether there was a profile, even one that cannot be read.
    has_icc: bool,
    pub is_srgb: bool,
    /// The exponent of the encoding, and the white point and primaries, in units of 1/100,000.
    pub gamma: Option<u32>,
    pub chromaticities: Option<[u32; 8]>,
}

pub struct PngFile<'a> {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Of the decoded pixels, in bytes.
    pub memory: u64,
    /// Orientation counts only before the pixels, as in browsers.
    pub exif: Option<&'a [u8]>,
    pub colors: PngColors,
    /// The same image with the chunks that its pixels need, and with its end: the decoder never sees compressed metadata.
    pub clean: Vec<u8>,
}

pub struct Chunks<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Chunks<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: SIGNATURE.len() }
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        let rest = self.bytes.get(self.at..)?;
        let length = usize::try_from(u32::from_be_bytes(*rest.first_chunk()?)).ok()?;
        let checked = rest.get(4..length.checked_add(8)?)?;
        let sum = *rest.get(length + 8..)?.first_chunk()?;
        let range = self.at..self.at + length + 12;
        self.at = range.end;
        let (name, data) = checked.split_first_chunk()?;
        Some(Chunk { name: *name, data, range, intact: crc32fast::hash(checked) == u32::from_be_bytes(sum) })
    }
}

impl<'a> PngFile<'a> {
    /// Reads the header and the chunks up to the end, or to what is not a whole chunk behind the pixels.
    pub fn read(bytes: &'a [u8]) -> Result<Self, ValidationError> {
        let mut clean = SIGNATURE.to_vec();
        clean.reserve(bytes.len());
        let (mut header, mut exif, mut has_transparency, mut colors) = (None, None, false, PngColors::default());
        let (mut has_pixels, mut end) = (false, SIGNATURE.len());
        for chunk in Chunks::new(bytes) {
            end = chunk.range.end;
            let needed = match &chunk.name {
                b"IEND" => break,
                b"IHDR" => {
                    header = header.or(chunk.data.first_chunk::<13>());
                    true
                }
                b"IDAT" => {
                    has_pixels = true;
                    true
                }
                b"tRNS" => {
                    has_transparency = true;
                    chunk.intact
                }
                // A capital is the mark of what must not be skipped.
                [first, ..] if first.is_ascii_uppercase() => true,
                _ => {
                    if chunk.intact && !has_pixels {
                        exif = exif.or(exif_data(&chunk));
                        colors.read(&chunk);
                    }
                    false
                }
            };
            if needed {
                clean.extend(&bytes[chunk.range]);
            }
        }
        let cut_in_pixels = bytes.get(end + 4..end + 8) == Some(b"IDAT");
        let header = header.filter(|_| has_pixels && !cut_in_pixels).ok_or(ValidationError::CorruptImage)?;
        clean.extend(END);

        let [w1, w2, w3, w4, h1, h2, h3, h4, depth, color, ..] = *header;
        let (width, height) = (u32::from_be_bytes([w1, w2, w3, w4]), u32::from_be_bytes([h1, h2, h3, h4]));
        let channels = match color {
            2 | 3 => 3,
            4 => 2,
            6 => 4,
            _ => 1,
        } + u64::from(has_transparency);
        let bytes_per_pixel = channels * u64::from(depth).div_ceil(8);
        let memory = (u64::from(width) * u64::from(height)).saturating_mul(bytes_per_pixel);
        Ok(Self { width, height, memory, exif, colors, clean })
    }
}

/// The EXIF data of a chunk; some writers put the signature of JPEG before it.
pub fn exif_data<'a>(chunk: &Chunk<'a>) -> Option<&'a [u8]> {
    (chunk.name == *b"eXIf").then(|| chunk.data.strip_prefix(b"Exif\0\0").unwrap_or(chunk.data))
}

/// Decompresses, unless it becomes larger than metadata may be, or than `limit` bytes.
pub fn inflate(compressed: &[u8], limit: usize) -> Option<Vec<u8>> {
    let (mut data, limit) = (Vec::new(), limit.min(MAX_METADATA));
    ZlibDecoder::new(compressed).take(limit as u64 + 1).read_to_end(&mut data).ok()?;
    (data.len() <= limit).then_some(data)
}

impl PngColors {
    fn read(&mut self, chunk: &Chunk<'_>) {
        let number = |bytes: &[u8; 4]| u32::from_be_bytes(*bytes);
        match &chunk.name {
            b"cICP" => self.cicp = chunk.data.first_chunk().copied(),
            b"sRGB" => self.is_srgb = true,
            b"gAMA" => self.gamma = chunk.data.first_chunk().map(number),
            b"cHRM" => {
                let numbers: Vec<u32> = chunk.data.as_chunks::<4>().0.iter().map(number).collect();
                self.chromaticities = numbers.try_into().ok();
            }
            // A name, NUL, the method of compression. There may be one.
            b"iCCP" if !self.has_icc => {
                self.has_icc = true;
                let compressed =
                    chunk.data.iter().position(|&byte| byte == 0).and_then(|nul| chunk.data.get(nul + 2..));
                self.icc = compressed.and_then(|compressed| inflate(compressed, MAX_METADATA));
            }
            _ => {}
        }
    }
}
