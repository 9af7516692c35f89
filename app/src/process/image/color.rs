//! Converts colours to sRGB.

use image::{DynamicImage, RgbImage, RgbaImage};
use moxcms::{
    Chromaticity, CicpColorPrimaries, CicpProfile, ColorPrimaries, ColorProfile, DataColorSpace, Layout,
    MatrixCoefficients, ToneReprCurve, TransferCharacteristics, TransformOptions, XyYRepresentable as _,
};

use super::png::PngColors;

/// What PNG's numbers are multiples of.
const PNG_UNIT: f32 = 100_000.0;

/// A profile as it is in a file. One that cannot be read is ignored, as browsers do: the colours are taken for sRGB.
pub fn from_icc(icc: &[u8]) -> Option<ColorProfile> {
    ColorProfile::new_from_slice(icc).ok()
}

/// By the first of cICP, iCCP, sRGB, gAMA that a PNG has.
pub fn from_png(colors: &PngColors) -> Option<ColorProfile> {
    if let Some([primaries, transfer, _, _]) = colors.cicp {
        let profile = ColorProfile::new_from_cicp(CicpProfile {
            color_primaries: CicpColorPrimaries::try_from(primaries).ok()?,
            transfer_characteristics: TransferCharacteristics::try_from(transfer).ok()?,
            matrix_coefficients: MatrixCoefficients::Identity,
            full_range: true,
        });
        return profile.red_trc.is_some().then_some(profile);
    }
    if let Some(icc) = &colors.icc {
        return from_icc(icc);
    }
    let gamma = colors.gamma.filter(|gamma| !colors.is_srgb && *gamma != 0)?;
    let mut profile = ColorProfile::new_srgb();
    if let Some([white_x, white_y, red_x, red_y, green_x, green_y, blue_x, blue_y]) = colors.chromaticities {
        let point = |x, y| Chromaticity { x: x as f32 / PNG_UNIT, y: y as f32 / PNG_UNIT };
        let primaries =
            ColorPrimaries { red: point(red_x, red_y), green: point(green_x, green_y), blue: point(blue_x, blue_y) };
        profile.update_rgb_colorimetry(point(white_x, white_y).to_xyy(), primaries);
    }
    let curve = ToneReprCurve::Parametric(vec![PNG_UNIT / gamma as f32]);
    profile.cicp = None;
    profile.red_trc = Some(curve.clone());
    profile.green_trc = Some(curve.clone());
    profile.blue_trc = Some(curve);
    Some(profile)
}

/// Converts pixels of 8 bits a channel. A profile that does not fit them is ignored.
pub fn to_srgb(image: DynamicImage, profile: Option<&ColorProfile>) -> DynamicImage {
    let Some(profile) = profile else { return image };
    let (width, height) = (image.width(), image.height());
    let (has_alpha, has_color) = (image.color().has_alpha(), image.color().has_color());
    let (source, layout): (DynamicImage, _) = match (profile.color_space, has_alpha) {
        (DataColorSpace::Rgb, false) => (image.into_rgb8().into(), Layout::Rgb),
        (DataColorSpace::Rgb, true) => (image.into_rgba8().into(), Layout::Rgba),
        (DataColorSpace::Gray, false) if !has_color => (image.into_luma8().into(), Layout::Gray),
        (DataColorSpace::Gray, true) if !has_color => (image.into_luma_alpha8().into(), Layout::GrayAlpha),
        _ => return image,
    };
    let target = if has_alpha { Layout::Rgba } else { Layout::Rgb };
    let srgb = ColorProfile::new_srgb();
    let Ok(transform) = profile.create_transform_8bit(layout, &srgb, target, TransformOptions::default()) else {
        return source;
    };
    let mut pixels = vec![0; source.as_bytes().len() / layout.channels() * target.channels()];
    if transform.transform(source.as_bytes(), &mut pixels).is_err() {
        return source;
    }
    let converted = if has_alpha {
        RgbaImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgba8)
    } else {
        RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8)
    };
    converted.unwrap_or(source)
}

/// JPEG files store four inks inverted, as Adobe does: 255 is no ink. Browsers take those without Adobe's mark for inverted
/// too.
pub fn cmyk_to_srgb(inverted: Vec<u8>, profile: Option<&ColorProfile>) -> Vec<u8> {
    let srgb = ColorProfile::new_srgb();
    let transform = profile.filter(|profile| profile.color_space == DataColorSpace::Cmyk).and_then(|profile| {
        profile.create_transform_8bit(Layout::Rgba, &srgb, Layout::Rgb, TransformOptions::default()).ok()
    });
    let mut rgb = vec![0; inverted.len() / 4 * 3];
    let inks: Vec<u8> = inverted.iter().map(|ink| 255 - ink).collect();
    if transform.is_some_and(|transform| transform.transform(&inks, &mut rgb).is_ok()) {
        return rgb;
    }
    let mix = |ink: u8, black: u8| (u16::from(ink) * u16::from(black) / 255) as u8;
    inverted.as_chunks::<4>().0.iter().flat_map(|&[c, m, y, k]| [mix(c, k), mix(m, k), mix(y, k)]).collect()
}

/// Reduces pixels to 8 bits a channel. In a profile of RGB they are converted before: of dark colours in a linear profile,
/// 8 bits would leave too little. Returns the profile that is still to be converted by.
pub fn to_8_bits(image: DynamicImage, profile: Option<ColorProfile>) -> (DynamicImage, Option<ColorProfile>) {
    let (has_alpha, has_color) = (image.color().has_alpha(), image.color().has_color());
    if image.as_flat_samples_u8().is_some() {
        return (image, profile);
    }
    let (layout, srgb) = (if has_alpha { Layout::Rgba } else { Layout::Rgb }, ColorProfile::new_srgb());
    let transform = profile
        .as_ref()
        .filter(|profile| profile.color_space == DataColorSpace::Rgb)
        .and_then(|profile| profile.create_transform_16bit(layout, &srgb, layout, TransformOptions::default()).ok());
    let Some(transform) = transform else {
        let image = match (has_color, has_alpha) {
            (false, false) => image.into_luma8().into(),
            (false, true) => image.into_luma_alpha8().into(),
            (true, false) => image.into_rgb8().into(),
            (true, true) => image.into_rgba8().into(),
        };
        return (image, profile);
    };
    let (width, height) = (image.width(), image.height());
    let deep = if has_alpha { image.into_rgba16().into_raw() } else { image.into_rgb16().into_raw() };
    let mut pixels = Vec::with_capacity(deep.len());
    let row_length = width as usize * layout.channels();
    let mut converted = vec![0; row_length];
    for row in deep.chunks(row_length) {
        // Fails only for rows of different lengths.
        let row = if transform.transform(row, &mut converted).is_ok() { &converted } else { row };
        pixels.extend(row.iter().map(|&value| ((u32::from(value) * 255 + 0x8000) / 0xffff) as u8));
    }
    let image = if has_alpha {
        RgbaImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgba8)
    } else {
        RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8)
    };
    (image.unwrap_or_default(), None)
}
