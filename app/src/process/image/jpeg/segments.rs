//! The segments of a JPEG file (ITU-T T.81, annex B): what the header says, and the file as the decoder gets it.

use crate::validate::ValidationError;

/// Each scan is a pass over the whole image: at 40 megapixels, 15 ms of processor time. Encoders write about 10, a
/// decompression bomb thousands.
const MAX_SCANS: u32 = 100;

/// The JFIF segment of version 1.1 without a density. The decoder warns of versions that it does not know, and needs the
/// segment to know the colours.
const JFIF: [u8; 18] = *b"\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0";

pub struct JpegFile<'a> {
    /// In pixels, before EXIF rotation.
    pub width: u32,
    /// In pixels, before EXIF rotation.
    pub height: u32,
    /// The EXIF data, without the segment's signature.
    pub exif: Option<&'a [u8]>,
    pub icc: Option<Vec<u8>>,
    /// Memory that the decoder needs beside the pixels, in bytes.
    pub memory: u64,
    /// The same image with the segments that the decoder needs, and with its end marker. Bytes between segments, which some
    /// cameras and editors leave, are gone.
    pub clean: Vec<u8>,
}

/// The frame header: segment SOF.
struct Frame {
    width: u32,
    height: u32,
    progressive: bool,
    /// Id, and horizontal and vertical sampling factor.
    components: Vec<(u8, u64, u64)>,
}

/// Reads a JPEG file up to its end marker. The end marker of a single scan may be missing: the decoder notices missing pixels.
/// Behind one of several scans, nothing tells whether others should follow.
pub fn read(bytes: &[u8]) -> Result<JpegFile<'_>, ValidationError> {
    let (mut at, mut clean) = (2, bytes.get(..2).ok_or(ValidationError::CorruptImage)?.to_vec());
    clean.reserve(bytes.len());
    let (mut frame, mut exif, mut icc, mut scans): (Option<Frame>, _, Vec<&[u8]>, Vec<&[u8]>) =
        (None, None, Vec::new(), Vec::new());
    let mut has_end = false;
    while let Some((marker, start)) = next_marker(bytes, at) {
        match marker {
            0xd9 => {
                has_end = true;
                break;
            }
            // Without a segment.
            0x01 | 0xd0..=0xd7 => {
                at = start;
                continue;
            }
            _ => {}
        }
        let segment = segment(bytes, start)?;
        at = start + 2 + segment.len();
        match marker {
            0xc0..=0xc2 if frame.is_none() => frame = Some(read_frame(marker, segment)?),
            0xc3 => return Err(unsupported("lossless JPEG")),
            0xc9..=0xcc if marker != 0xcb => return Err(unsupported("arithmetic-coded JPEG")),
            0xc5..=0xc7 | 0xcb | 0xcd..=0xcf => return Err(unsupported("hierarchical or lossless JPEG")),
            0xc4 | 0xda | 0xdb | 0xdd => {}
            0xe0 if segment.starts_with(b"JFIF\0") && scans.is_empty() => {
                clean.extend(JFIF);
                continue;
            }
            // Only some write the second NUL.
            0xe1 if exif.is_none() && scans.is_empty() && segment.starts_with(b"Exif\0") => {
                exif = segment.get(6..);
                continue;
            }
            0xe2 if segment.starts_with(b"ICC_PROFILE\0") => {
                icc.push(&segment[12..]);
                continue;
            }
            // Adobe's segment: the colour transform.
            0xee => {}
            0xc0..=0xc2 | 0xd8 => return Err(ValidationError::CorruptImage),
            _ => continue,
        }
        clean.extend([0xff, marker]);
        clean.extend(&bytes[start..at]);
        if marker == 0xda {
            scans.push(segment);
            let end = end_of_scan(bytes, at);
            clean.extend(&bytes[at..end]);
            at = end;
        }
    }
    clean.extend([0xff, 0xd9]);

    if scans.len() > MAX_SCANS as usize {
        return Err(ValidationError::TooManyScans { limit: MAX_SCANS });
    }
    let frame = frame.filter(|frame| frame.has_all_components(&scans)).ok_or(ValidationError::CorruptImage)?;
    let in_scans = frame.has_several_scans(&scans);
    if in_scans && !has_end {
        return Err(ValidationError::CorruptImage);
    }
    let memory = if in_scans { frame.coefficients() } else { 0 };
    Ok(JpegFile { width: frame.width, height: frame.height, exif, icc: join_profile(&icc), memory, clean })
}

impl Frame {
    /// Then a decoder keeps the coefficients of the whole image.
    fn has_several_scans(&self, scans: &[&[u8]]) -> bool {
        self.progressive
            || scans.iter().any(|scan| scan.first().copied().map(usize::from) < Some(self.components.len()))
    }

    /// The size of all coefficients, in bytes: two for each sample.
    fn coefficients(&self) -> u64 {
        let most = |factor: fn(&(u8, u64, u64)) -> u64| self.components.iter().map(factor).max().unwrap_or(1).max(1);
        let samples: u64 = self.components.iter().map(|(_, horizontal, vertical)| horizontal * vertical).sum();
        let pixels = u64::from(self.width) * u64::from(self.height);
        2 * pixels * samples / (most(|component| component.1) * most(|component| component.2))
    }

    /// Whether each component has its first scan. A file that ends between two scans may lack some; the decoder would fill
    /// them with grey.
    fn has_all_components(&self, scans: &[&[u8]]) -> bool {
        self.components.iter().all(|(id, ..)| {
            scans.iter().any(|scan| {
                let count = usize::from(scan.first().copied().unwrap_or(0));
                let starts_at_dc = scan.get(1 + 2 * count) == Some(&0);
                starts_at_dc
                    && scan.get(1..1 + 2 * count).is_some_and(|ids| ids.iter().step_by(2).any(|other| other == id))
            })
        })
    }
}

/// The next marker's code and the place behind it. Bytes that are not part of a marker are skipped, and so are fill bytes.
fn next_marker(bytes: &[u8], from: usize) -> Option<(u8, usize)> {
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| byte == 0xff)?;
        at += bytes.get(at..)?.iter().position(|&byte| byte != 0xff)?;
        let marker = bytes[at];
        at += 1;
        if marker != 0 {
            return Some((marker, at));
        }
    }
}

/// The content of the segment whose length is at `start`.
fn segment(bytes: &[u8], start: usize) -> Result<&[u8], ValidationError> {
    let length = bytes.get(start..).and_then(|rest| rest.first_chunk()).map(|length| u16::from_be_bytes(*length));
    let end = length.filter(|length| *length >= 2).map(|length| start + usize::from(length));
    end.and_then(|end| bytes.get(start + 2..end)).ok_or(ValidationError::CorruptImage)
}

/// Where the next marker begins that is not part of the scan's data, or the end of the file.
fn end_of_scan(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(found) = memchr::memchr(0xff, &bytes[at..]) {
        at += found;
        match bytes.get(at + 1) {
            // A stuffed byte, a restart marker, a fill byte.
            Some(0 | 0xd0..=0xd7) => at += 2,
            Some(0xff) => at += 1,
            Some(_) | None => return at,
        }
    }
    bytes.len()
}

fn read_frame(marker: u8, segment: &[u8]) -> Result<Frame, ValidationError> {
    let [precision, height @ .., _] = segment.first_chunk::<6>().ok_or(ValidationError::CorruptImage)?;
    if *precision != 8 {
        return Err(unsupported(&format!("JPEG with {precision} bits a sample")));
    }
    let [h1, h2, w1, w2] = *height;
    let count = usize::from(segment[5]);
    let components = segment.get(6..6 + 3 * count).ok_or(ValidationError::CorruptImage)?;
    let components: Vec<_> = components
        .as_chunks::<3>()
        .0
        .iter()
        .map(|[id, factors, _]| (*id, u64::from(factors >> 4), u64::from(factors & 15)))
        .collect();
    let (width, height) = (u16::from_be_bytes([w1, w2]).into(), u16::from_be_bytes([h1, h2]).into());
    if width == 0 || height == 0 || components.is_empty() {
        return Err(ValidationError::CorruptImage);
    }
    Ok(Frame { width, height, progressive: marker == 0xc2, components })
}

/// A profile is cut into chunks, each with its number and their count. One with a missing or doubled chunk is ignored, as
/// browsers do.
fn join_profile(chunks: &[&[u8]]) -> Option<Vec<u8>> {
    let mut numbered: Vec<(u8, u8, &[u8])> = Vec::new();
    for chunk in chunks {
        let [number, count, data @ ..] = *chunk else { return None };
        numbered.push((*number, *count, data));
    }
    numbered.sort_by_key(|(number, ..)| *number);
    let complete = (1..).zip(&numbered).all(|(expected, (number, count, _))| {
        usize::from(*number) == expected && usize::from(*count) == numbered.len()
    });
    let profile: Vec<u8> = numbered.iter().flat_map(|(.., data)| data.iter().copied()).collect();
    (complete && !profile.is_empty()).then_some(profile)
}

/// What is undamaged, but what no browser shows.
fn unsupported(found: &str) -> ValidationError {
    ValidationError::UnsupportedType { found: found.into() }
}
