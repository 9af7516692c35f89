//! Thumbnails: from a picture's bytes to a small WebP's bytes, in memory.

use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::DynamicImage;

use crate::{
    decode::{Decoded, decode},
    validate::{Inspected, Refusal},
};

/// The gallery thumbnail's longest side, in pixels.
pub const GALLERY_SIDE: u32 = 600;

/// A JPEG is scaled down while decoding to no less than this many times the thumbnail's size; below two it shows.
const MARGIN: u32 = 2;

/// WebP quality, of 100. With libwebp's default effort of 4: 14 KB and 18 ms for a photograph.
const QUALITY: f32 = 80.0;

/// A picture that was decoded from its first byte to its last, and its thumbnail.
#[derive(Clone, Debug)]
pub struct Gallery {
    /// A WebP, its longest side at most [`GALLERY_SIDE`], turned for display, without metadata.
    pub webp: Vec<u8>,
    /// The original's width as displayed, in pixels.
    pub width: u32,
    /// The original's height as displayed, in pixels.
    pub height: u32,
}

/// Decodes the picture and makes its gallery thumbnail, which is never larger than the picture. Takes tens to hundreds of
/// milliseconds of CPU: not for an asynchronous thread.
///
/// # Errors
/// What [`decode`] refuses.
pub fn gallery(bytes: &[u8], header: Inspected, max_pixels: u64) -> Result<Gallery, Refusal> {
    let decoded = decode(bytes, header, max_pixels, GALLERY_SIDE * MARGIN)?;
    let (width, height) =
        if decoded.is_turned() { (header.height, header.width) } else { (header.width, header.height) };
    let small = shrink(decoded, (header.width, header.height))?;
    Ok(Gallery { webp: webp(&small)?, width, height })
}

/// Resizes to fit [`GALLERY_SIDE`] and turns for display, in that order, which moves fewer pixels.
fn shrink(decoded: Decoded, (width, height): (u32, u32)) -> Result<DynamicImage, Refusal> {
    let Decoded { image, orientation } = decoded;
    let (to_width, to_height) = fit(width, height);
    let mut small = if (image.width(), image.height()) == (to_width, to_height) {
        image
    } else {
        let mut small = DynamicImage::new(to_width, to_height, image.color());
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
        // Fails only on pixel types that no accepted format decodes to.
        Resizer::new().resize(&image, &mut small, &options).map_err(|_| Refusal::CorruptImage)?;
        small
    };
    small.apply_orientation(orientation);
    Ok(small)
}

/// The size of the thumbnail, in the picture's proportions.
fn fit(width: u32, height: u32) -> (u32, u32) {
    let longest = width.max(height);
    if longest <= GALLERY_SIDE {
        return (width, height);
    }
    let scaled = |side: u32| {
        let exact = u64::from(side) * u64::from(GALLERY_SIDE);
        // At most GALLERY_SIDE, so it fits.
        ((exact + u64::from(longest) / 2) / u64::from(longest)).max(1) as u32
    };
    (scaled(width), scaled(height))
}

fn webp(image: &DynamicImage) -> Result<Vec<u8>, Refusal> {
    let (width, height) = (image.width(), image.height());
    let encoded = if image.color().has_alpha() {
        webp::Encoder::from_rgba(&image.to_rgba8(), width, height).encode_simple(false, QUALITY)
    } else {
        webp::Encoder::from_rgb(&image.to_rgb8(), width, height).encode_simple(false, QUALITY)
    };
    encoded.map(|webp| webp.to_vec()).map_err(|_| Refusal::TooMuchMemory)
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn thumbnails_keep_proportions_and_are_never_enlarged() {
        assert_eq!(fit(4000, 3000), (600, 450));
        assert_eq!(fit(3000, 4000), (450, 600));
        assert_eq!(fit(600, 600), (600, 600));
        assert_eq!(fit(2, 3), (2, 3));
        assert_eq!(fit(30_000, 2), (600, 1));
    }
}
