//! Decodes whole images. This proves that the file is not corrupt, and gives the pixels for the thumbnail.

use std::io::Cursor;

use image::{
    AnimationDecoder, DynamicImage, Frames, ImageDecoder, ImageResult,
    codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder},
    metadata::Orientation,
};
use turbojpeg::{Colorspace, Decompressor, PixelFormat, ScalingFactor};

use crate::validate::{ImageHeader, ImageKind, MAX_DECODER_MEMORY, ValidationError};

/// All frames of an animation together may have this many times the pixels of a still image.
const ANIMATION_FACTOR: u64 = 10;

/// Scans allowed in a progressive JPEG; each is a pass over the whole image. Encoders write about 10, a decompression bomb
/// thousands.
const MAX_SCANS: u32 = 500;

/// A decoded image; of an animation, the first frame.
pub struct DecodedImage {
    /// The pixels before rotation. A JPEG may be scaled down, but not below the requested size.
    pub image: DynamicImage,
    /// The EXIF orientation.
    pub orientation: Orientation,
}

impl DecodedImage {
    /// Whether the orientation swaps width and height.
    pub fn swaps_sides(&self) -> bool {
        matches!(
            self.orientation,
            Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
        )
    }
}

/// Decodes the whole image. A JPEG is scaled down while decoding, as far as its longest side stays at least `min_side`
/// pixels: this needs a fraction of the time and memory and still reads every byte.
pub fn decode(
    bytes: &[u8],
    header: ImageHeader,
    max_pixels: u64,
    min_side: u32,
) -> Result<DecodedImage, ValidationError> {
    let frame_budget = max_pixels.saturating_mul(ANIMATION_FACTOR);
    let input = Cursor::new(bytes);
    match header.kind {
        ImageKind::Jpeg => decode_jpeg(bytes, min_side),
        ImageKind::Png => decode_still(PngDecoder::with_limits(input, memory_limit())),
        ImageKind::Gif => GifDecoder::new(input)
            .and_then(with_memory_limit)
            .map_err(decode_error)
            .and_then(|decoder| first_frame(decoder.into_frames(), Orientation::NoTransforms, frame_budget)),
        ImageKind::WebP => {
            let mut decoder = WebPDecoder::new(input).and_then(with_memory_limit).map_err(decode_error)?;
            if !decoder.has_animation() {
                return decode_still(Ok(decoder));
            }
            let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
            first_frame(decoder.into_frames(), orientation, frame_budget)
        }
    }
}

fn decode_still(decoder: ImageResult<impl ImageDecoder>) -> Result<DecodedImage, ValidationError> {
    let mut decoder = decoder.map_err(decode_error)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(decode_error)?;
    Ok(DecodedImage { image, orientation })
}

/// Decodes every frame, within a budget of pixels, and returns the first.
fn first_frame(frames: Frames<'_>, orientation: Orientation, mut budget: u64) -> Result<DecodedImage, ValidationError> {
    let mut first = None;
    for frame in frames {
        let pixels = frame.map_err(decode_error)?.into_buffer();
        budget = budget
            .checked_sub(u64::from(pixels.width()) * u64::from(pixels.height()))
            .ok_or(ValidationError::TooManyFrames)?;
        first.get_or_insert(pixels);
    }
    let image = DynamicImage::ImageRgba8(first.ok_or(ValidationError::CorruptImage)?);
    Ok(DecodedImage { image, orientation })
}

fn decode_jpeg(bytes: &[u8], min_side: u32) -> Result<DecodedImage, ValidationError> {
    let corrupt = |_| ValidationError::CorruptImage;
    let mut decompressor = Decompressor::new().map_err(corrupt)?;
    decompressor.set_scan_limit(MAX_SCANS).map_err(corrupt)?;
    let header = decompressor.read_header(bytes).map_err(corrupt)?;

    let longest = header.width.max(header.height);
    let scales = [ScalingFactor::ONE_EIGHTH, ScalingFactor::ONE_QUARTER, ScalingFactor::ONE_HALF];
    let scale = scales.into_iter().find(|scale| !header.is_lossless && scale.scale(longest) >= min_side as usize);
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
        return Err(ValidationError::CorruptImage);
    }

    // A JPEG stores its sides in 16 bits.
    let (width, height) = (width as u32, height as u32);
    let image = match format {
        PixelFormat::GRAY => image::GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8),
        PixelFormat::CMYK => {
            image::RgbImage::from_raw(width, height, cmyk_to_rgb(&pixels)).map(DynamicImage::ImageRgb8)
        }
        _ => image::RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8),
    };
    let orientation = exif_segment(bytes).and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms);
    Ok(DecodedImage { image: image.ok_or(ValidationError::CorruptImage)?, orientation })
}

/// Two warnings of libjpeg (jerror.h) are ignored: files straight from cameras cause them, and no pixel is lost.
fn is_harmless(message: &str) -> bool {
    message.contains("extraneous bytes before marker") || message.contains("unknown JFIF revision number")
}

/// JPEG files store CMYK inverted, as Adobe does: 255 is no ink.
fn cmyk_to_rgb(cmyk: &[u8]) -> Vec<u8> {
    let mix = |ink: u8, black: u8| (u16::from(ink) * u16::from(black) / 255) as u8;
    cmyk.as_chunks::<4>().0.iter().flat_map(|&[c, m, y, k]| [mix(c, k), mix(m, k), mix(y, k)]).collect()
}

/// The EXIF data of a JPEG: the first APP1 segment with the EXIF signature, before the first scan.
fn exif_segment(jpeg: &[u8]) -> Option<&[u8]> {
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

fn with_memory_limit<D: ImageDecoder>(mut decoder: D) -> ImageResult<D> {
    decoder.set_limits(memory_limit())?;
    Ok(decoder)
}

fn memory_limit() -> image::Limits {
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(MAX_DECODER_MEMORY);
    limits
}

fn decode_error(error: image::ImageError) -> ValidationError {
    match error {
        image::ImageError::Limits(_) => ValidationError::TooMuchMemory,
        _ => ValidationError::CorruptImage,
    }
}
