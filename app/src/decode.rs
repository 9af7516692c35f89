//! Decoding a whole picture: the proof that it can be decoded, and the pixels that a thumbnail is made of.

use std::io::Cursor;

use image::{
    AnimationDecoder, DynamicImage, Frames, ImageDecoder, ImageResult,
    codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder},
    metadata::Orientation,
};
use turbojpeg::{Colorspace, Decompressor, PixelFormat, ScalingFactor};

use crate::validate::{DECODER_MEMORY, ImageKind, Inspected, Refusal};

/// All frames of an animation together may have this many times the pixels that a still picture may have.
const ANIMATION_FACTOR: u64 = 10;

/// Scans a progressive JPEG may have, each a pass over the whole picture. Encoders write about ten; a bomb has thousands.
const MAX_SCANS: u32 = 500;

/// A decoded picture; an animation's first frame.
pub struct Decoded {
    /// The pixels, as stored. A JPEG may be scaled down, to at least the size that was asked for.
    pub image: DynamicImage,
    /// How to turn the picture for display.
    pub orientation: Orientation,
}

impl Decoded {
    /// Whether turning it for display swaps width and height.
    pub fn is_turned(&self) -> bool {
        matches!(
            self.orientation,
            Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
        )
    }
}

/// Decodes all of the picture. `enough` is the longest side, in pixels, above which a JPEG is scaled down while decoding,
/// which takes a fraction of the time and memory and still reads every byte.
///
/// # Errors
/// [`Refusal::CorruptImage`], [`Refusal::TooManyFrames`] or [`Refusal::TooMuchMemory`].
pub fn decode(bytes: &[u8], header: Inspected, max_pixels: u64, enough: u32) -> Result<Decoded, Refusal> {
    let frame_budget = max_pixels.saturating_mul(ANIMATION_FACTOR);
    let input = Cursor::new(bytes);
    match header.kind {
        ImageKind::Jpeg => jpeg(bytes, enough),
        ImageKind::Png => still(PngDecoder::with_limits(input, memory_limit())),
        ImageKind::Gif => GifDecoder::new(input)
            .and_then(limited)
            .map_err(refusal)
            .and_then(|decoder| first_of(decoder.into_frames(), Orientation::NoTransforms, frame_budget)),
        ImageKind::WebP => {
            let mut decoder = WebPDecoder::new(input).and_then(limited).map_err(refusal)?;
            if !decoder.has_animation() {
                return still(Ok(decoder));
            }
            let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
            first_of(decoder.into_frames(), orientation, frame_budget)
        }
    }
}

fn still(decoder: ImageResult<impl ImageDecoder>) -> Result<Decoded, Refusal> {
    let mut decoder = decoder.map_err(refusal)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(refusal)?;
    Ok(Decoded { image, orientation })
}

/// Decodes every frame, within the budget of pixels, and keeps the first.
fn first_of(frames: Frames<'_>, orientation: Orientation, mut budget: u64) -> Result<Decoded, Refusal> {
    let mut first = None;
    for frame in frames {
        let pixels = frame.map_err(refusal)?.into_buffer();
        budget =
            budget.checked_sub(u64::from(pixels.width()) * u64::from(pixels.height())).ok_or(Refusal::TooManyFrames)?;
        first.get_or_insert(pixels);
    }
    let image = DynamicImage::ImageRgba8(first.ok_or(Refusal::CorruptImage)?);
    Ok(Decoded { image, orientation })
}

fn jpeg(bytes: &[u8], enough: u32) -> Result<Decoded, Refusal> {
    let corrupt = |_| Refusal::CorruptImage;
    let mut decompressor = Decompressor::new().map_err(corrupt)?;
    decompressor.set_scan_limit(MAX_SCANS).map_err(corrupt)?;
    let header = decompressor.read_header(bytes).map_err(corrupt)?;

    let longest = header.width.max(header.height);
    let scales = [ScalingFactor::ONE_EIGHTH, ScalingFactor::ONE_QUARTER, ScalingFactor::ONE_HALF];
    let scale = scales.into_iter().find(|scale| !header.is_lossless && scale.scale(longest) >= enough as usize);
    let scale = scale.unwrap_or(ScalingFactor::ONE);
    decompressor.set_scaling_factor(scale).map_err(corrupt)?;

    let format = match header.colorspace {
        Colorspace::Gray => PixelFormat::GRAY,
        Colorspace::CMYK | Colorspace::YCCK => PixelFormat::CMYK,
        _ => PixelFormat::RGB,
    };
    let (width, height) = (scale.scale(header.width), scale.scale(header.height));
    let pitch = width * format.size();
    let mut pixels = vec![0; pitch * height];
    let output = turbojpeg::Image { pixels: pixels.as_mut_slice(), width, pitch, height, format };
    if let Err(error) = decompressor.decompress(bytes, output)
        && !is_harmless(&error.to_string())
    {
        return Err(Refusal::CorruptImage);
    }

    // JPEG's sides have 16 bits.
    let (width, height) = (width as u32, height as u32);
    let image = match format {
        PixelFormat::GRAY => image::GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8),
        PixelFormat::CMYK => {
            image::RgbImage::from_raw(width, height, rgb_of_cmyk(&pixels)).map(DynamicImage::ImageRgb8)
        }
        _ => image::RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8),
    };
    let orientation = exif(bytes).and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms);
    Ok(Decoded { image: image.ok_or(Refusal::CorruptImage)?, orientation })
}

/// libjpeg reports anything odd; of its warnings (jerror.h) these two come from cameras' own files and lose no pixel.
fn is_harmless(message: &str) -> bool {
    message.contains("extraneous bytes before marker") || message.contains("unknown JFIF revision number")
}

/// Adobe's CMYK, the only one there is in JPEG files, is stored inverted: 255 is no ink.
fn rgb_of_cmyk(cmyk: &[u8]) -> Vec<u8> {
    let mix = |ink: u8, black: u8| (u16::from(ink) * u16::from(black) / 255) as u8;
    cmyk.as_chunks::<4>().0.iter().flat_map(|&[c, m, y, k]| [mix(c, k), mix(m, k), mix(y, k)]).collect()
}

/// The EXIF block of a JPEG: the first APP1 segment with its signature, before the first scan.
fn exif(jpeg: &[u8]) -> Option<&[u8]> {
    let mut rest = jpeg.get(2..)?;
    loop {
        let [0xff, marker, high, low] = *rest.first_chunk()? else { return None };
        let segment = rest.get(4..2 + usize::from(u16::from_be_bytes([high, low])))?;
        match marker {
            0xe1 if segment.starts_with(b"Exif\0\0") => return segment.get(6..),
            0xda | 0xd9 => return None,
            _ => rest = rest.get(4 + segment.len()..)?,
        }
    }
}

fn limited<D: ImageDecoder>(mut decoder: D) -> ImageResult<D> {
    decoder.set_limits(memory_limit())?;
    Ok(decoder)
}

fn memory_limit() -> image::Limits {
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(DECODER_MEMORY);
    limits
}

fn refusal(error: image::ImageError) -> Refusal {
    match error {
        image::ImageError::Limits(_) => Refusal::TooMuchMemory,
        _ => Refusal::CorruptImage,
    }
}
