//! Decodes WebP, scaled down as far as its longest side stays large enough; of an animation, the first frame. The file is a
//! RIFF container (RFC 9649).

use std::ops::Range;

use image::{DynamicImage, RgbImage, RgbaImage, imageops, metadata::Orientation};
use webpx::{Decoder, DecoderConfig, Limits};

use super::{Decoded, ImageLimits, MAX_METADATA, check_size, color, exif};
use crate::validate::ValidationError;

/// Length of the container's header, in bytes.
const HEADER: usize = 12;

pub struct Chunk<'a> {
    pub name: [u8; 4],
    pub data: &'a [u8],
    /// Of the data, in the file.
    pub range: Range<usize>,
}

/// The first frame as a file of its own, and where it is on the canvas, in pixels.
struct Frame {
    x: u32,
    y: u32,
    file: Vec<u8>,
}

pub fn decode(bytes: &[u8], limits: ImageLimits, min_side: u32) -> Result<Decoded, ValidationError> {
    let chunks = whole_chunks(bytes).ok_or(ValidationError::CorruptImage)?;
    let data = |name: &[u8; 4]| chunks.iter().find(|chunk| chunk.name == *name).map(|chunk| chunk.data);
    let frame = data(b"ANMF").map(first_frame);
    let frame = match frame {
        Some(frame) => Some(frame.ok_or(ValidationError::CorruptImage)?),
        None => None,
    };
    let file = frame.as_ref().map_or(bytes, |frame| &frame.file);

    let decoder = Decoder::new(file).map_err(|_| ValidationError::CorruptImage)?;
    let info = decoder.info();
    let is_lossless = info.format == webpx::BitstreamFormat::Lossless;
    // A lossless file is decoded at its full size in any case.
    let memory = if is_lossless { 4 * u64::from(info.width) * u64::from(info.height) } else { 0 };
    let (width, height) = data(b"VP8X").and_then(canvas).unwrap_or((info.width, info.height));
    check_size(width, height, memory, limits)?;
    // A frame is inside of its canvas.
    let (x, y) = frame.as_ref().map_or((0, 0), |frame| (frame.x, frame.y));
    if x + info.width > width || y + info.height > height {
        return Err(ValidationError::CorruptImage);
    }

    let factor = (width.max(height) / min_side).max(1);
    let scaled = |side: u32| side.div_ceil(factor);
    let mut image = decode_scaled(decoder, scaled)?;
    if (info_size(&image), (x, y)) != ((scaled(width), scaled(height)), (0, 0)) {
        let mut canvas = RgbaImage::new(scaled(width), scaled(height));
        imageops::replace(&mut canvas, &image.to_rgba8(), (x / factor).into(), (y / factor).into());
        image = canvas.into();
    }
    Ok(Decoded {
        width,
        height,
        image,
        orientation: data(b"EXIF").map_or(Orientation::NoTransforms, |data| exif::orientation(strip_signature(data))),
        profile: data(b"ICCP").filter(|icc| icc.len() <= MAX_METADATA).and_then(color::from_icc),
        lossless: is_lossless,
    })
}

/// The chunks of a file that is as long as its header says. Browsers show nothing of a shorter one.
pub fn whole_chunks(bytes: &[u8]) -> Option<Vec<Chunk<'_>>> {
    let size = usize::try_from(u32::from_le_bytes(*bytes.get(4..)?.first_chunk()?)).ok()?;
    let file = bytes.get(..size.checked_add(8)?)?;
    chunks_of(file, HEADER)
}

/// EXIF data without the signature that JPEG has before it; some writers leave it there.
pub fn strip_signature(exif: &[u8]) -> &[u8] {
    exif.strip_prefix(b"Exif\0\0").unwrap_or(exif)
}

fn chunks_of(bytes: &[u8], mut at: usize) -> Option<Vec<Chunk<'_>>> {
    let mut chunks = Vec::new();
    while at < bytes.len() {
        let [n1, n2, n3, n4, l1, l2, l3, l4] = *bytes.get(at..)?.first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes([l1, l2, l3, l4])).ok()?;
        let range = at + 8..(at + 8).checked_add(length)?;
        chunks.push(Chunk { name: [n1, n2, n3, n4], data: bytes.get(range.clone())?, range: range.clone() });
        // A chunk of odd length is followed by a byte that only the last one may lack.
        at = range.end + length % 2;
    }
    Some(chunks)
}

/// Width and height of chunk VP8X, in pixels.
fn canvas(data: &[u8]) -> Option<(u32, u32)> {
    let [.., w1, w2, w3, h1, h2, h3] = *data.first_chunk::<10>()?;
    Some((1 + u24([w1, w2, w3]), 1 + u24([h1, h2, h3])))
}

/// Makes a file of the first frame: libwebp decodes animations at full size only, into several canvases.
fn first_frame(data: &[u8]) -> Option<Frame> {
    let [x1, x2, x3, y1, y2, y3, size @ ..] = *data.first_chunk::<12>()?;
    let mut content = Vec::new();
    // Behind the frame's header come its chunks. Flag 0x10: one of them is its alpha channel.
    for chunk in chunks_of(data, 16)? {
        if chunk.name == *b"ALPH" {
            content.extend(*b"VP8X\x0a\0\0\0\x10\0\0\0");
            content.extend(size);
        }
        if matches!(&chunk.name, b"ALPH" | b"VP8 " | b"VP8L") {
            content.extend(&data[chunk.range.start - 8..chunk.range.end]);
            content.resize(content.len().next_multiple_of(2), 0);
        }
    }
    let length = u32::try_from(content.len() + 4).ok()?.to_le_bytes();
    let file = [b"RIFF", length.as_slice(), b"WEBP", content.as_slice()].concat();
    Some(Frame { x: 2 * u24([x1, x2, x3]), y: 2 * u24([y1, y2, y3]), file })
}

fn u24([low, middle, high]: [u8; 3]) -> u32 {
    u32::from_le_bytes([low, middle, high, 0])
}

fn decode_scaled(decoder: Decoder<'_>, scaled: impl Fn(u32) -> u32) -> Result<DynamicImage, ValidationError> {
    let info = decoder.info();
    let (width, height, has_alpha) = (scaled(info.width), scaled(info.height), info.has_alpha);
    // The sizes are checked above.
    let mut config = DecoderConfig::new().limits(Limits::none());
    if (width, height) != (info.width, info.height) {
        config = config.scale(width, height);
    }
    let decoder = decoder.config(config);
    let pixels = if has_alpha { decoder.decode_rgba_raw() } else { decoder.decode_rgb_raw() };
    let (pixels, width, height) = pixels.map_err(|_| ValidationError::CorruptImage)?;
    let image = if has_alpha {
        RgbaImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgba8)
    } else {
        RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8)
    };
    image.ok_or(ValidationError::CorruptImage)
}

fn info_size(image: &DynamicImage) -> (u32, u32) {
    (image.width(), image.height())
}
