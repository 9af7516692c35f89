//! Creates thumbnails: decodes an image, resizes it and encodes it as WebP, in memory.

use fast_image_resize::{
    FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer,
    images::TypedImage,
    pixels::{U8, U8x3, U8x4},
};
use image::{DynamicImage, ImageBuffer, Pixel};

use crate::{
    decode::{DecodedImage, decode},
    validate::{ImageHeader, ValidationError},
};

/// Longest side of a thumbnail, in pixels.
const MAX_SIDE: u32 = 600;

/// While decoding, a JPEG is scaled down to at least this many times the thumbnail's size. Below 2, the loss is visible.
const DECODE_FACTOR: u32 = 2;

/// WebP quality, 0 to 100. A thumbnail of a photograph has about 14 KB and takes 18 ms, with libwebp's default method 4.
const QUALITY: f32 = 80.0;

#[derive(Clone, Debug)]
pub struct Thumbnail {
    /// WebP without metadata, rotated for display, with sides of at most [`MAX_SIDE`] pixels.
    pub webp: Vec<u8>,
    /// A placeholder of about 25 bytes.
    pub thumbhash: Vec<u8>,
    /// Of the original, in pixels, after EXIF rotation.
    pub original_width: u32,
    /// Of the original, in pixels, after EXIF rotation.
    pub original_height: u32,
}

/// Creates the thumbnail of an image; it is never larger than the image. Blocks for tens to hundreds of milliseconds, so
/// call it on a blocking thread.
pub fn create(bytes: &[u8], header: ImageHeader, max_pixels: u64) -> Result<Thumbnail, ValidationError> {
    let decoded = decode(bytes, header, max_pixels, MAX_SIDE * DECODE_FACTOR)?;
    let (original_width, original_height) =
        if decoded.swaps_sides() { (header.height, header.width) } else { (header.width, header.height) };
    let resized = resize(decoded, (header.width, header.height))?;
    let small = resized.thumbnail(100, 100).into_rgba8();
    let thumbhash = thumbhash::rgba_to_thumb_hash(small.width() as usize, small.height() as usize, &small);
    Ok(Thumbnail { webp: encode_webp(&resized)?, thumbhash, original_width, original_height })
}

/// Resizes to [`MAX_SIDE`], then rotates for display; in this order, fewer pixels are moved.
fn resize(decoded: DecodedImage, (width, height): (u32, u32)) -> Result<DynamicImage, ValidationError> {
    let DecodedImage { image, orientation } = decoded;
    let size = thumbnail_size(width, height);
    let mut resized = if (image.width(), image.height()) == size { image } else { resize_pixels(image, size)? };
    resized.apply_orientation(orientation);
    Ok(resized)
}

/// Resizes an image of any pixel type to one that WebP has. Its 8 bits a channel are enough before resizing too.
///
/// The library would choose by the pixel type itself, and be compiled for 13 of them. Each takes seconds.
fn resize_pixels(image: DynamicImage, size: (u32, u32)) -> Result<DynamicImage, ValidationError> {
    let color = image.color();
    let resized = if color.has_alpha() {
        resized::<_, U8x4>(image.into_rgba8(), size).map(DynamicImage::ImageRgba8)
    } else if color.has_color() {
        resized::<_, U8x3>(image.into_rgb8(), size).map(DynamicImage::ImageRgb8)
    } else {
        resized::<_, U8>(image.into_luma8(), size).map(DynamicImage::ImageLuma8)
    };
    // Fails only for buffers that do not fit their size.
    resized.ok_or(ValidationError::CorruptImage)
}

/// Both images, and those in between, have one type, for which the library is compiled once.
pub fn resized<P, T>(mut image: ImageBuffer<P, Vec<u8>>, (width, height): (u32, u32)) -> Option<ImageBuffer<P, Vec<u8>>>
where
    P: Pixel<Subpixel = u8>,
    T: PixelTrait,
{
    let (from_width, from_height) = image.dimensions();
    let from = TypedImage::<T>::from_buffer(from_width, from_height, &mut image).ok()?;
    let mut resized = ImageBuffer::new(width, height);
    let mut to = TypedImage::<T>::from_buffer(width, height, &mut resized).ok()?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    Resizer::new().resize_typed(&from, &mut to, &options).ok()?;
    Some(resized)
}

/// The thumbnail's size in pixels; keeps the aspect ratio.
fn thumbnail_size(width: u32, height: u32) -> (u32, u32) {
    let longest = width.max(height);
    if longest <= MAX_SIDE {
        return (width, height);
    }
    let scaled = |side: u32| {
        let exact = u64::from(side) * u64::from(MAX_SIDE);
        // At most MAX_SIDE, so it fits.
        ((exact + u64::from(longest) / 2) / u64::from(longest)).max(1) as u32
    };
    (scaled(width), scaled(height))
}

fn encode_webp(image: &DynamicImage) -> Result<Vec<u8>, ValidationError> {
    let (width, height) = (image.width(), image.height());
    let encoded = if image.color().has_alpha() {
        webp::Encoder::from_rgba(&image.to_rgba8(), width, height).encode_simple(false, QUALITY)
    } else {
        webp::Encoder::from_rgb(&image.to_rgb8(), width, height).encode_simple(false, QUALITY)
    };
    encoded.map(|webp| webp.to_vec()).map_err(|_| ValidationError::TooMuchMemory)
}

#[cfg(test)]
mod tests {
    use super::thumbnail_size;

    #[test]
    fn thumbnails_keep_the_aspect_ratio_and_are_never_enlarged() {
        assert_eq!(thumbnail_size(4000, 3000), (600, 450));
        assert_eq!(thumbnail_size(3000, 4000), (450, 600));
        assert_eq!(thumbnail_size(600, 600), (600, 600));
        assert_eq!(thumbnail_size(2, 3), (2, 3));
        assert_eq!(thumbnail_size(30_000, 2), (600, 1));
    }
}
