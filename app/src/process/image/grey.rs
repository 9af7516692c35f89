//! The pixels of an image for the recognition of text.

use image::{DynamicImage, GrayImage, Luma, LumaA};
use serde::{Deserialize, Serialize};

use super::{Decoded, DeriveError, ImageLimits, decode, kind::ImageKind, resize::Pixels};

/// Pixels as displayed, one byte each, row by row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GreyImage {
    pub width: u32,
    pub height: u32,
    pub pixels: Vec<u8>,
}

/// The pixels of an image that was accepted before, as displayed on white, scaled down so that the longest side has at most
/// `max_side` pixels.
pub fn upright_grey(bytes: &[u8], max_side: u32) -> Result<GreyImage, DeriveError> {
    let kind = ImageKind::from_content(bytes)?;
    let limits = ImageLimits { max_pixels: u64::MAX };
    let Decoded { width, height, image, orientation, .. } = decode(bytes, kind, limits, max_side)?;
    let grey = Pixels::new(DynamicImage::ImageLuma8(on_white(image)));
    let mut upright = grey.fit(width, height, max_side);
    upright.apply_orientation(orientation);
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
