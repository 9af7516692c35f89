//! Pictures: validated and decoded, in a child.

use fast_image_resize::pixels::U8;
use image::{DynamicImage, GrayImage, Luma, LumaA};
use serde::{Deserialize, Serialize};

use crate::{
    decode::decode,
    thumbnail,
    validate::{self, ValidationError},
};

/// Limits on a picture.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ImageLimits {
    pub max_pixels: u64,
}

/// What is derived of a picture.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DerivedImage {
    pub mime_type: String,
    /// As displayed, in pixels.
    pub width: u32,
    /// As displayed, in pixels.
    pub height: u32,
    /// WebP.
    pub thumbnail: Vec<u8>,
    /// PNG.
    pub clipboard: Vec<u8>,
    pub thumbhash: Vec<u8>,
    pub captured_at: Option<String>,
    pub camera: Option<String>,
    pub has_location: bool,
    /// The same file without its location; empty if it has none.
    pub without_location: Vec<u8>,
}

/// Pixels as displayed, one byte each, row by row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GreyImage {
    pub width: u32,
    pub height: u32,
    pub pixels: Vec<u8>,
}

/// Validates a picture and derives what is stored beside it.
pub fn derive(bytes: &[u8], limits: ImageLimits) -> Result<DerivedImage, ValidationError> {
    let header = validate::image_header(bytes, limits.max_pixels)?;
    let thumbnail = thumbnail::create(bytes, header, limits.max_pixels)?;
    Ok(DerivedImage {
        mime_type: header.kind.mime_type().to_owned(),
        width: thumbnail.original_width,
        height: thumbnail.original_height,
        thumbnail: thumbnail.webp,
        clipboard: Vec::new(),
        thumbhash: thumbnail.thumbhash,
        captured_at: None,
        camera: None,
        has_location: false,
        without_location: Vec::new(),
    })
}

/// The pixels of a picture that was accepted before, as displayed on white, scaled down to at most `max_pixels`.
pub fn upright_grey(bytes: &[u8], max_pixels: u64) -> Result<GreyImage, ValidationError> {
    let header = validate::image_header(bytes, u64::MAX)?;
    let pixels = f64::from(header.width) * f64::from(header.height);
    let scale = (max_pixels as f64 / pixels).sqrt().min(1.0);
    let scaled = |side: u32| ((f64::from(side) * scale) as u32).max(1);
    let size = (scaled(header.width), scaled(header.height));
    let decoded = decode(bytes, header, u64::MAX, size.0.max(size.1))?;
    let mut grey = on_white(decoded.image);
    if grey.dimensions() != size {
        grey = thumbnail::resized::<_, U8>(grey, size).ok_or(ValidationError::CorruptImage)?;
    }
    let mut upright = DynamicImage::ImageLuma8(grey);
    upright.apply_orientation(decoded.orientation);
    Ok(GreyImage { width: upright.width(), height: upright.height(), pixels: upright.into_bytes() })
}

/// Black text on a transparent ground would be black on black without its alpha channel.
fn on_white(image: DynamicImage) -> GrayImage {
    if !image.color().has_alpha() {
        return image.into_luma8();
    }
    let image = image.into_luma_alpha8();
    GrayImage::from_fn(image.width(), image.height(), |x, y| {
        let LumaA([grey, alpha]) = *image.get_pixel(x, y);
        // At most 255, so it fits.
        Luma([(255 - (255 - u32::from(grey)) * u32::from(alpha) / 255) as u8])
    })
}
