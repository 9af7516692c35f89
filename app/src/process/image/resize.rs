//! Resizes images.

use fast_image_resize::{
    FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer,
    images::{TypedImage, TypedImageRef},
    pixels::{U8, U8x3, U8x4},
};
use image::{DynamicImage, GrayImage, ImageBuffer, Pixel, RgbImage, RgbaImage};

/// An image of one of the three pixel types that images are resized in.
///
/// The library would choose by the pixel type itself, and be compiled for 13 of them. Each takes seconds.
pub enum Pixels {
    Gray(GrayImage),
    Rgb(RgbImage),
    Rgba(RgbaImage),
}

impl Pixels {
    pub fn new(image: DynamicImage) -> Self {
        let color = image.color();
        if color.has_alpha() {
            Self::Rgba(image.into_rgba8())
        } else if color.has_color() {
            Self::Rgb(image.into_rgb8())
        } else {
            Self::Gray(image.into_luma8())
        }
    }

    /// Averages blocks of pixels, as far as the longest side stays at least `min_side`: what comes after has fewer to read, and
    /// the large image is freed.
    pub fn reduced(self, min_side: u32) -> Self {
        let (width, height) = match &self {
            Self::Gray(image) => image.dimensions(),
            Self::Rgb(image) => image.dimensions(),
            Self::Rgba(image) => image.dimensions(),
        };
        let factor = width.max(height) / min_side;
        if factor < 2 {
            return self;
        }
        let size = (width.div_ceil(factor), height.div_ceil(factor));
        match self {
            Self::Gray(image) => Self::Gray(resized::<_, U8>(&image, size, FilterType::Box)),
            Self::Rgb(image) => Self::Rgb(resized::<_, U8x3>(&image, size, FilterType::Box)),
            Self::Rgba(image) => Self::Rgba(resized::<_, U8x4>(&image, size, FilterType::Box)),
        }
    }

    /// Fits an original of this size into a square; this image may be smaller than the original. Never enlarges.
    pub fn fit(&self, width: u32, height: u32, max_side: u32) -> DynamicImage {
        let size = fitting_size(width, height, max_side);
        match self {
            Self::Gray(image) => resized::<_, U8>(image, size, FilterType::Lanczos3).into(),
            Self::Rgb(image) => resized::<_, U8x3>(image, size, FilterType::Lanczos3).into(),
            Self::Rgba(image) => resized::<_, U8x4>(image, size, FilterType::Lanczos3).into(),
        }
    }
}

/// Both images, and those in between, have one type, for which the library is compiled once.
fn resized<P, T>(
    image: &ImageBuffer<P, Vec<u8>>,
    (width, height): (u32, u32),
    filter: FilterType,
) -> ImageBuffer<P, Vec<u8>>
where
    P: Pixel<Subpixel = u8>,
    T: PixelTrait,
{
    if image.dimensions() == (width, height) {
        return image.clone();
    }
    let mut resized = ImageBuffer::new(width, height);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
    let from = TypedImageRef::<T>::from_buffer(image.width(), image.height(), image).expect("the buffer has its size");
    let mut to = TypedImage::<T>::from_buffer(width, height, &mut resized).expect("the buffer has its size");
    Resizer::new().resize_typed(&from, &mut to, &options).expect("without a crop, no size is wrong");
    resized
}

/// The size in pixels; keeps the aspect ratio.
pub fn fitting_size(width: u32, height: u32, max_side: u32) -> (u32, u32) {
    let longest = width.max(height);
    if longest <= max_side {
        return (width, height);
    }
    let scaled = |side: u32| {
        let exact = u64::from(side) * u64::from(max_side);
        // At most `max_side`, so it fits.
        ((exact + u64::from(longest) / 2) / u64::from(longest)).max(1) as u32
    };
    (scaled(width), scaled(height))
}

#[cfg(test)]
mod tests {
    use super::fitting_size;

    #[test]
    fn small_pictures_keep_the_aspect_ratio_and_are_never_enlarged() {
        assert_eq!(fitting_size(4000, 3000, 600), (600, 450));
        assert_eq!(fitting_size(3000, 4000, 600), (450, 600));
        assert_eq!(fitting_size(600, 600, 600), (600, 600));
        assert_eq!(fitting_size(2, 3, 600), (2, 3));
        assert_eq!(fitting_size(30_000, 2, 1024), (1024, 1));
    }
}
