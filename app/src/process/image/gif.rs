//! Decodes the first frame of a GIF. The frames behind it are walked over, not decoded: this finds a file that was cut off,
//! and takes no time, however many there are (CompuServe, GIF89a).

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder as _, codecs::gif::GifDecoder, metadata::Orientation};

use super::{Decoded, ImageLimits, check_size, decoder_error, decoder_limits};
use crate::validate::ValidationError;

const TRAILER: u8 = 0x3b;

pub fn decode(bytes: &[u8], limits: ImageLimits) -> Result<Decoded, ValidationError> {
    let layout = Layout::read(bytes).ok_or(ValidationError::CorruptImage)?;
    let Layout { width, height, first_frame, first_frame_end } = layout;
    for (width, height) in [(width, height), first_frame] {
        // Four bytes a pixel: of the frame, and of the canvas that it is drawn on.
        check_size(width.max(2), height.max(2), 4 * u64::from(width) * u64::from(height), limits)?;
    }
    check_size(width, height, 0, limits)?;

    let first = [&bytes[..first_frame_end], &[TRAILER]].concat();
    let mut decoder = GifDecoder::new(Cursor::new(first)).map_err(decoder_error)?;
    decoder.set_limits(decoder_limits()).map_err(decoder_error)?;
    let image = DynamicImage::from_decoder(decoder).map_err(decoder_error)?;
    Ok(Decoded { width, height, image, orientation: Orientation::NoTransforms, profile: None, lossless: true })
}

struct Layout {
    width: u32,
    height: u32,
    /// Its width and height.
    first_frame: (u32, u32),
    /// Where the blocks of the first frame end, in bytes.
    first_frame_end: usize,
}

impl Layout {
    /// Walks over all blocks. The trailer may be missing; a block must not be cut off.
    fn read(bytes: &[u8]) -> Option<Self> {
        let [.., w1, w2, h1, h2, flags, _, _] = *bytes.first_chunk::<13>()?;
        let mut at = 13 + color_table(flags);
        let mut first = None;
        while let Some(&block) = bytes.get(at) {
            match block {
                TRAILER => break,
                // Some writers leave NUL bytes between blocks.
                0 => at += 1,
                // An extension: its label, then sub-blocks.
                0x21 => at = skip_sub_blocks(bytes, at + 2)?,
                0x2c => {
                    let [_, _, _, _, w1, w2, h1, h2, flags] = *bytes.get(at + 1..)?.first_chunk::<9>()?;
                    // Behind the colours, one byte says how the pixels are coded.
                    at = skip_sub_blocks(bytes, at + 10 + color_table(flags) + 1)?;
                    let size = (u16::from_le_bytes([w1, w2]).into(), u16::from_le_bytes([h1, h2]).into());
                    first.get_or_insert((size, at));
                }
                // What follows a frame is not needed to show it.
                _ if first.is_some() => break,
                _ => return None,
            }
        }
        let (first_frame, first_frame_end) = first?;
        let (width, height) = (u16::from_le_bytes([w1, w2]).into(), u16::from_le_bytes([h1, h2]).into());
        Some(Self { width, height, first_frame, first_frame_end })
    }
}

/// The size of a table of colours in bytes, by the flags of what it belongs to.
fn color_table(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// Sub-blocks have a length of one byte; that of the last is 0.
fn skip_sub_blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1 + length;
        if length == 0 {
            return Some(at);
        }
    }
}
