use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use std::io::Cursor;
use turbojpeg::{Compressor, PixelFormat, Subsamp};

use super::{DeriveError, DerivedImage, ImageLimits, derive};
use crate::validate::ValidationError;

const LIMITS: ImageLimits = ImageLimits { max_pixels: 40_000_000 };

/// Left half red, right half blue.
pub(super) fn halves(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, _| if x < width / 2 { Rgb([220, 20, 20]) } else { Rgb([20, 20, 220]) })
}

pub(super) fn jpeg(image: &RgbImage, subsamp: Subsamp) -> Vec<u8> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let mut compressor = Compressor::new().unwrap();
    compressor.set_subsamp(subsamp).unwrap();
    let image = turbojpeg::Image {
        pixels: image.as_raw().as_slice(),
        width,
        pitch: 3 * width,
        height,
        format: PixelFormat::RGB,
    };
    compressor.compress_to_vec(image).unwrap()
}

pub(super) fn png(image: &DynamicImage) -> Vec<u8> {
    encoded(image, ImageFormat::Png)
}

pub(super) fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub(super) fn webp(image: &RgbaImage, lossless: bool) -> Vec<u8> {
    let encoder = webpx::Encoder::new_rgba(image, image.width(), image.height()).lossless(lossless);
    encoder.encode(webpx::Unstoppable).unwrap()
}

/// Inserts a segment behind the start of a JPEG.
pub(super) fn with_segment(jpeg: &[u8], marker: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, marker], &length, data, &jpeg[2..]].concat()
}

/// Inserts a chunk behind the header of a PNG.
pub(super) fn with_chunk(png: &[u8], name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let checked = [name, data].concat();
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&png[..33], &length, &checked, &crc32fast::hash(&checked).to_be_bytes(), &png[33..]].concat()
}

/// Makes a simple WebP an extended one, with this chunk behind the pixels.
pub(super) fn with_webp_chunk(
    webp: &[u8],
    (width, height): (u32, u32),
    flag: u8,
    name: &[u8; 4],
    data: &[u8],
) -> Vec<u8> {
    let mut body = b"WEBPVP8X\x0a\0\0\0".to_vec();
    body.extend([flag, 0, 0, 0]);
    body.extend(&(width - 1).to_le_bytes()[..3]);
    body.extend(&(height - 1).to_le_bytes()[..3]);
    body.extend(&webp[12..]);
    body.extend(name);
    body.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
    body.extend(data);
    body.resize(body.len().next_multiple_of(2), 0);
    [b"RIFF", u32::try_from(body.len()).unwrap().to_le_bytes().as_slice(), &body].concat()
}

/// EXIF with one SHORT.
pub(super) fn oriented(orientation: u8) -> Vec<u8> {
    let mut exif = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    exif
}

pub(super) fn pixels(picture: &[u8]) -> RgbImage {
    rgba(picture).into_rgb8()
}

fn rgba(picture: &[u8]) -> DynamicImage {
    if picture.starts_with(b"RIFF") {
        let (pixels, width, height) = webpx::decode_rgba(picture).unwrap();
        return RgbaImage::from_raw(width, height, pixels).unwrap().into();
    }
    image::load_from_memory_with_format(picture, ImageFormat::Png).unwrap()
}

#[track_caller]
pub(super) fn accepted(bytes: &[u8]) -> DerivedImage {
    derive(bytes, LIMITS).unwrap()
}

#[track_caller]
fn rejected(bytes: &[u8]) -> ValidationError {
    match derive(bytes, LIMITS) {
        Err(DeriveError::Invalid(error)) => error,
        other => panic!("{:?}", other.map(|derived| (derived.mime_type, derived.width, derived.height))),
    }
}

#[track_caller]
pub(super) fn assert_color(picture: &[u8], (x, y): (u32, u32), expected: [u8; 3]) {
    let Rgb(shown) = *pixels(picture).get_pixel(x, y);
    assert!(shown.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 12), "{shown:?} instead of {expected:?}");
}

#[test]
fn pictures_are_shrunk_to_their_limits_and_never_enlarged() {
    let derived = accepted(&jpeg(&halves(2600, 1300), Subsamp::Sub2x2));
    assert_eq!((derived.width, derived.height, derived.mime_type.as_str()), (2600, 1300, "image/jpeg"));
    assert_eq!(pixels(&derived.thumbnail).dimensions(), (600, 300));
    assert_eq!(pixels(&derived.clipboard).dimensions(), (1024, 512));
    assert!((5..=30).contains(&derived.thumbhash.len()), "{:?}", derived.thumbhash);
    assert_color(&derived.thumbnail, (20, 20), [220, 20, 20]);
    assert_color(&derived.clipboard, (1000, 20), [20, 20, 220]);

    let derived = accepted(&png(&halves(20, 10).into()));
    assert_eq!(pixels(&derived.thumbnail).dimensions(), (20, 10));
    assert_eq!(pixels(&derived.clipboard).dimensions(), (20, 10));
}

#[test]
fn every_png_type_is_accepted() {
    let base = DynamicImage::from(halves(40, 30));
    for image in [
        DynamicImage::ImageLuma8(base.to_luma8()),
        base.to_luma_alpha8().into(),
        base.to_rgba8().into(),
        base.to_luma16().into(),
        base.to_luma_alpha16().into(),
        base.to_rgb16().into(),
        base.to_rgba16().into(),
    ] {
        let derived = accepted(&png(&image));
        let color = if image.color().has_color() { [220, 20, 20] } else { [63, 63, 63] };
        assert_color(&derived.thumbnail, (5, 5), color);
    }
}

#[test]
fn drawings_keep_their_colours_where_nothing_is_shrunk() {
    let drawing =
        RgbImage::from_fn(240, 60, |x, y| if (x / 3 + y / 3) % 2 == 0 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) });
    let derived = accepted(&png(&drawing.clone().into()));
    assert_eq!(pixels(&derived.thumbnail), drawing);
    assert!(derived.thumbnail.windows(4).any(|name| name == b"VP8L"));
}

#[test]
fn webp_is_decoded_at_a_smaller_size_and_keeps_its_transparency() {
    let large =
        RgbaImage::from_fn(3000, 1500, |x, _| if x < 1500 { Rgba([200, 0, 0, 255]) } else { Rgba([0, 0, 0, 0]) });
    for lossless in [false, true] {
        let derived = accepted(&webp(&large, lossless));
        assert_eq!((derived.width, derived.height), (3000, 1500));
        let thumbnail = rgba(&derived.thumbnail).into_rgba8();
        assert_eq!(thumbnail.dimensions(), (600, 300));
        assert_eq!(thumbnail.get_pixel(590, 150)[3], 0);
        assert_color(&derived.thumbnail, (100, 100), [200, 0, 0]);
    }
    let mut cut = webp(&large, true);
    cut.truncate(cut.len() - 10);
    assert_eq!(rejected(&cut), ValidationError::CorruptImage);
}

#[test]
fn orientation_is_read_wherever_browsers_read_it() {
    let (upright, turned) = (halves(60, 40), (40, 60));
    let plain = jpeg(&upright, Subsamp::None);
    let app1 = |signature: &[u8]| with_segment(&plain, 0xe1, &[signature, &oriented(6)].concat());
    let mut filled = app1(b"Exif\0\0");
    filled.splice(2..2, [0xff, 0xff]);
    let opaque = DynamicImage::from(upright.clone()).into_rgba8();
    let simple = webp(&opaque, false);
    let in_webp = |exif: &[u8]| with_webp_chunk(&simple, (60, 40), 8, b"EXIF", exif);
    for (case, file) in [
        ("JPEG", app1(b"Exif\0\0")),
        ("a signature with 0xff", app1(b"Exif\0\xff")),
        ("fill bytes before the segment", filled),
        ("PNG", with_chunk(&png(&upright.clone().into()), b"eXIf", &oriented(6))),
        ("WebP", in_webp(&oriented(6))),
        ("WebP with JPEG's signature", in_webp(&[b"Exif\0\0".as_slice(), &oriented(6)].concat())),
    ] {
        let derived = accepted(&file);
        assert_eq!((derived.width, derived.height), turned, "{case}");
        assert_eq!(pixels(&derived.thumbnail).dimensions(), turned, "{case}");
        // Turned clockwise, what was left is above.
        assert_color(&derived.thumbnail, (20, 5), [220, 20, 20]);
        assert_color(&derived.clipboard, (20, 55), [20, 20, 220]);
    }
    let invalid = with_segment(&plain, 0xe1, &[b"Exif\0\0".as_slice(), &oriented(9)].concat());
    assert_eq!(accepted(&invalid).width, 60);
}

#[test]
fn colours_are_converted_to_srgb() {
    let p3 = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    // sRGB's pure green, in Display P3.
    let image = RgbImage::from_pixel(64, 64, Rgb([117, 251, 76]));
    let in_jpeg =
        with_segment(&jpeg(&image, Subsamp::None), 0xe2, &[b"ICC_PROFILE\0\x01\x01".as_slice(), &p3].concat());
    let plain_png = png(&image.clone().into());
    let icc = [b"p3\0\0".as_slice(), &zlib(&p3)].concat();
    let in_png = with_chunk(&plain_png, b"iCCP", &icc);
    let cicp = with_chunk(&plain_png, b"cICP", &[12, 13, 0, 1]);
    let deep = with_chunk(&png(&DynamicImage::from(image.clone()).to_rgb16().into()), b"iCCP", &icc);
    let in_webp = webp(&DynamicImage::from(image).into_rgba8(), true);
    let in_webp = with_webp_chunk(&in_webp, (64, 64), 0x20, b"ICCP", &p3);
    for file in [in_jpeg, in_png, cicp, deep, in_webp] {
        let derived = accepted(&file);
        assert_color(&derived.thumbnail, (30, 30), [0, 255, 0]);
        assert_color(&derived.clipboard, (30, 30), [0, 255, 0]);
    }

    // Linear light: a fifth of it is a middle grey. Of sRGB and gAMA, the first counts.
    let gray = png(&RgbImage::from_pixel(8, 8, Rgb([51, 51, 51])).into());
    let linear = with_chunk(&gray, b"gAMA", &100_000_u32.to_be_bytes());
    assert_color(&accepted(&linear).thumbnail, (4, 4), [124, 124, 124]);
    assert_color(&accepted(&with_chunk(&linear, b"sRGB", &[0])).thumbnail, (4, 4), [51, 51, 51]);
}

#[test]
fn a_profile_that_is_not_whole_is_ignored() {
    let plain = jpeg(&halves(40, 40), Subsamp::None);
    let p3 = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let first_of_two = with_segment(&plain, 0xe2, &[b"ICC_PROFILE\0\x01\x02".as_slice(), &p3].concat());
    let once = [b"ICC_PROFILE\0\x01\x01".as_slice(), &p3].concat();
    let twice = with_segment(&with_segment(&plain, 0xe2, &once), 0xe2, &once);
    let bomb =
        with_chunk(&png(&halves(40, 40).into()), b"iCCP", &[b"x\0\0".as_slice(), &zlib(&vec![0; 30 << 20])].concat());
    for file in [first_of_two, twice, bomb] {
        assert_color(&accepted(&file).thumbnail, (5, 5), [220, 20, 20]);
    }
}

#[test]
fn undamaged_files_with_odd_bytes_are_accepted() {
    let plain = jpeg(&halves(60, 40), Subsamp::Sub2x2);
    let frame = plain.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    let mut extraneous = plain.clone();
    extraneous.splice(frame..frame, [0, 1, 2, 0xff, 0, 3]);
    let mut jfif = plain.clone();
    let version = jfif.windows(5).position(|name| name == b"JFIF\0").unwrap() + 5;
    jfif[version..version + 2].copy_from_slice(&[2, 1]);
    let without_end = plain[..plain.len() - 2].to_vec();
    let drawing = png(&halves(60, 40).into());
    let without_iend = drawing[..drawing.len() - 12].to_vec();
    let mut bad_text = with_chunk(&drawing, b"tEXt", b"Comment\0x");
    bad_text[33 + 8 + 9] ^= 1;
    let gif = encoded(&DynamicImage::from(halves(60, 40)), ImageFormat::Gif);
    let without_trailer = gif[..gif.len() - 1].to_vec();
    let mut with_nul = gif.clone();
    with_nul.insert(gif.len() - 1, 0);
    for (case, file) in [
        ("bytes between segments", extraneous),
        ("JFIF 2.01", jfif),
        ("no EOI", without_end),
        ("bytes behind EOI", [plain.as_slice(), b"<html>"].concat()),
        ("no IEND", without_iend),
        ("bytes behind IEND", [drawing.as_slice(), b"<html>"].concat()),
        ("a bad checksum of a text", bad_text),
        ("no trailer", without_trailer),
        ("NUL before the trailer", with_nul),
    ] {
        let derived = derive(&file, LIMITS).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!((derived.width, derived.height), (60, 40), "{case}");
        assert_color(&derived.thumbnail, (10, 10), [220, 20, 20]);
    }
}

#[test]
fn damaged_files_are_rejected() {
    let cut = |bytes: &[u8], percent: usize| bytes[..bytes.len() * percent / 100].to_vec();
    let mut noise = 1_u32;
    let noisy = DynamicImage::from(RgbImage::from_fn(200, 100, |_, _| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Rgb([(noise >> 24) as u8, (noise >> 16) as u8, 0])
    }));
    let (jpeg, png) = (jpeg(&noisy.to_rgb8(), Subsamp::None), png(&noisy));
    let gif = encoded(&noisy, ImageFormat::Gif);
    let mut flipped = png.clone();
    flipped[1000] ^= 1;
    for (case, file) in [
        ("JPEG", cut(&jpeg, 60)),
        ("JPEG without its last bytes", cut(&jpeg, 98)),
        ("JPEG in its header", jpeg[..100].to_vec()),
        ("PNG", cut(&png, 60)),
        ("PNG without its last bytes", cut(&png, 99)),
        ("PNG with a flipped bit", flipped),
        ("WebP", cut(&webp(&noisy.to_rgba8(), false), 60)),
        ("GIF", cut(&gif, 60)),
        ("TIFF", cut(&encoded(&noisy, ImageFormat::Tiff), 60)),
    ] {
        assert_eq!(rejected(&file), ValidationError::CorruptImage, "{case}");
    }
}

#[test]
fn what_no_browser_shows_is_named() {
    let plain = jpeg(&halves(40, 40), Subsamp::None);
    let frame = plain.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    let changed = |at: usize, value: u8| {
        let mut file = plain.clone();
        file[frame + at] = value;
        rejected(&file)
    };
    let unsupported = |found: &str| ValidationError::UnsupportedType { found: found.into() };
    assert_eq!(changed(1, 0xc3), unsupported("lossless JPEG"));
    assert_eq!(changed(1, 0xc9), unsupported("arithmetic-coded JPEG"));
    assert_eq!(changed(4, 12), unsupported("JPEG with 12 bits a sample"));
    assert_eq!(rejected(b"%PDF-1.7\n"), unsupported("application/pdf"));
    assert_eq!(rejected(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), unsupported("unknown content"));
    assert_eq!(rejected(b""), ValidationError::EmptyFile);
}

#[test]
fn bombs_are_rejected_before_they_are_decoded() {
    // More scans than any encoder writes.
    let plain = jpeg(&halves(40, 40), Subsamp::None);
    let scan = plain.windows(2).position(|marker| marker == [0xff, 0xda]).unwrap();
    let scans = [&plain[..plain.len() - 2], plain[scan..plain.len() - 2].repeat(100).as_slice()].concat();
    assert_eq!(rejected(&scans), ValidationError::TooManyScans { limit: 100 });

    // The coefficients of a baseline JPEG in several scans are kept in memory too.
    let mut inks = jpeg(&halves(40, 40), Subsamp::None);
    let frame = inks.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    inks[frame + 5..frame + 9].copy_from_slice(&[0x22, 0, 0x22, 0]);
    let one_component = inks.windows(2).position(|marker| marker == [0xff, 0xda]).unwrap();
    let data = inks.split_off(one_component);
    let table = data[6];
    let id = |index: usize| inks[frame + 10 + 3 * index];
    let scan = |id: u8| [0xff, 0xda, 0, 8, 1, id, table, 0, 63, 0];
    let several = [inks.as_slice(), &scan(id(0)), &scan(id(1)), &scan(id(2)), &[0xff, 0xd9]].concat();
    let ValidationError::TooManyPixels { .. } = rejected(&several) else { panic!("{:?}", rejected(&several)) };
    let limits = ImageLimits { max_pixels: 80_000_000 };
    assert!(matches!(derive(&several, limits), Err(DeriveError::Invalid(ValidationError::TooMuchMemory))));

    // Frames behind the first are not decoded.
    let gif = encoded(&DynamicImage::from(halves(60, 40)), ImageFormat::Gif);
    let body = gif.windows(2).position(|block| block == [0x21, 0xf9]).unwrap();
    let frames = [&gif[..gif.len() - 1], gif[body..gif.len() - 1].repeat(2000).as_slice(), b";"].concat();
    assert_eq!(accepted(&frames).width, 60);

    assert_eq!(rejected(&png(&halves(1, 9).into())), ValidationError::TooSmall { width: 1, height: 9 });
}

pub(super) fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::read::ZlibEncoder::new(data, flate2::Compression::fast());
    let mut compressed = Vec::new();
    std::io::Read::read_to_end(&mut encoder, &mut compressed).unwrap();
    compressed
}
