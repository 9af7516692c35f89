use image::{DynamicImage, ImageFormat};
use turbojpeg::Subsamp;

use super::{super::tests as files, ImageKind, metadata, without_location};

const XMP: &str = r#"<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description exif:GPSLatitude="60,10.1N" dc:title="Loma">
<exif:GPSLongitude>24,56.2E</exif:GPSLongitude></rdf:Description></x:xmpmeta>"#;

/// EXIF of a camera, little-endian: maker, model, time, and a latitude.
pub fn exif() -> Vec<u8> {
    let entry = |tag: u16, kind: u16, count: u32, value: u32| {
        [tag.to_le_bytes().as_slice(), &kind.to_le_bytes(), &count.to_le_bytes(), &value.to_le_bytes()].concat()
    };
    let table = |entries: &[Vec<u8>]| {
        [&u16::try_from(entries.len()).unwrap().to_le_bytes(), entries.concat().as_slice(), &[0; 4]].concat()
    };
    // The header has 8 bytes, a table 6 and 12 for each entry.
    let (main, details, gps) = (8, 8 + 54, 8 + 54 + 30);
    let values = gps + 30;
    let mut exif = b"II\x2a\0\x08\0\0\0".to_vec();
    exif.extend(table(&[
        entry(0x10f, 2, 6, values),
        entry(0x110, 2, 13, values + 6),
        entry(0x8769, 4, 1, details),
        entry(0x8825, 4, 1, gps),
    ]));
    assert_eq!(exif.len() as u32, main + 54);
    exif.extend(table(&[entry(0x9003, 2, 20, values + 19), entry(0x9011, 2, 7, values + 39)]));
    exif.extend(table(&[entry(1, 2, 2, u32::from(b'N')), entry(2, 5, 3, values + 46)]));
    assert_eq!(exif.len() as u32, values);
    exif.extend(b"Canon\0Canon EOS R5\0"[..19].iter());
    exif.extend(b"2026:06:24 21:30:00\0+03:00\0");
    for number in [60_u32, 1, 10, 1, 6, 1] {
        exif.extend(number.to_le_bytes());
    }
    exif
}

fn latitude() -> Vec<u8> {
    [60_u32, 1, 10, 1, 6, 1].iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn the_place_is_removed_from_every_format_and_nothing_else() {
    let image = files::halves(60, 40);
    let jpeg = files::jpeg(&image, Subsamp::None);
    let png = files::png(&image.clone().into());
    let webp = files::webp(&DynamicImage::from(image).into_rgba8(), true);
    let segment = [b"Exif\0\0".as_slice(), &exif()].concat();
    let xmp_segment = [b"http://ns.adobe.com/xap/1.0/\0", XMP.as_bytes()].concat();
    let raw = format!("Raw profile type exif\0\nexif\n{:8}\n{}\n", segment.len(), hex::encode(&segment));
    let itxt = [b"XML:com.adobe.xmp\0\x01\0\0\0".as_slice(), &files::zlib(XMP.as_bytes())].concat();
    let cases = [
        ("JPEG", files::with_segment(&jpeg, 0xe1, &segment)),
        ("a second photograph in the file", [jpeg.clone(), files::with_segment(&jpeg, 0xe1, &segment)].concat()),
        ("XMP in JPEG", files::with_segment(&jpeg, 0xe1, &xmp_segment)),
        ("PNG", files::with_chunk(&png, b"eXIf", &exif())),
        ("compressed XMP in PNG", files::with_chunk(&png, b"iTXt", &itxt)),
        ("EXIF as text in PNG", files::with_chunk(&png, b"tEXt", raw.as_bytes())),
        ("WebP", files::with_webp_chunk(&webp, (60, 40), 8, b"EXIF", &exif())),
        ("WebP with JPEG's signature", files::with_webp_chunk(&webp, (60, 40), 8, b"EXIF", &segment)),
        ("XMP in WebP", files::with_webp_chunk(&webp, (60, 40), 4, b"XMP ", XMP.as_bytes())),
    ];
    for (case, file) in cases {
        let kind = ImageKind::from_content(&file).unwrap();
        assert!(metadata(kind, &file).has_location, "{case}");
        let stripped = without_location(&file).unwrap_or_else(|| panic!("{case}: nothing found"));
        assert!(!metadata(kind, &stripped).has_location, "{case}");
        assert!(!contains(&stripped, &latitude()) && !contains(&stripped, b"60,10.1N"), "{case}");
        assert!(!contains(&stripped, b"24,56.2E"), "{case}");
        assert_eq!(without_location(&stripped), None, "{case}");
        assert_eq!(metadata(kind, &stripped).capture, metadata(kind, &file).capture, "{case}");
        let (before, after) = (files::accepted(&file), files::accepted(&stripped));
        assert_eq!(before.clipboard, after.clipboard, "{case}");
    }
    let kept = without_location(&files::with_segment(&jpeg, 0xe1, &xmp_segment)).unwrap();
    assert!(contains(&kept, b"dc:title=\"Loma\"></rdf:Description>") || contains(&kept, b"dc:title=\"Loma\">"));
    for plain in [jpeg, png, webp, b"not an image".to_vec()] {
        assert_eq!(without_location(&plain), None);
    }
}

#[test]
fn a_tiff_file_loses_its_place_and_keeps_its_pixels() {
    // The file's own table comes last, so the other tables can be put behind it.
    let mut tiff = files::encoded(&files::halves(60, 40).into(), ImageFormat::Tiff);
    let at = u32::from_le_bytes(*tiff[4..].first_chunk().unwrap()) as usize;
    let count = u16::from_le_bytes(*tiff[at..].first_chunk().unwrap());
    let mut main = tiff[at + 2..at + 2 + 12 * usize::from(count)].to_vec();
    let table = tiff.len() as u32;
    let gps = table + 2 + 12 * (u32::from(count) + 1) + 4;
    main.extend([0x25, 0x88, 4, 0, 1, 0, 0, 0]);
    main.extend(gps.to_le_bytes());
    tiff[4..8].copy_from_slice(&table.to_le_bytes());
    tiff.extend((count + 1).to_le_bytes());
    tiff.extend(main);
    tiff.extend([0; 4]);
    tiff.extend([1, 0, 2, 0, 5, 0, 3, 0, 0, 0]);
    tiff.extend((gps + 18).to_le_bytes());
    tiff.extend([0; 4]);
    tiff.extend(latitude());
    assert!(files::accepted(&tiff).has_location);
    let stripped = without_location(&tiff).unwrap();
    assert!(!contains(&stripped, &latitude()));
    assert_eq!(files::accepted(&stripped).clipboard, files::accepted(&tiff).clipboard);
}

#[test]
fn the_camera_and_the_time_are_read() {
    let jpeg = files::jpeg(&files::halves(60, 40), Subsamp::None);
    let derived = files::accepted(&files::with_segment(&jpeg, 0xe1, &[b"Exif\0\0".as_slice(), &exif()].concat()));
    assert_eq!(derived.camera.as_deref(), Some("Canon EOS R5"));
    assert_eq!(derived.captured_at.as_deref(), Some("2026-06-24T21:30:00+03:00"));
    let plain = files::accepted(&jpeg);
    assert_eq!((plain.camera, plain.captured_at, plain.has_location), (None, None, false));

    // No cut and no flipped bit of the metadata makes the reader fail.
    for length in 0..exif().len() {
        let mut damaged = exif();
        damaged[length] ^= 0xff;
        for exif in [damaged, exif()[..length].to_vec()] {
            let file = files::with_segment(&jpeg, 0xe1, &[b"Exif\0\0".as_slice(), &exif].concat());
            metadata(ImageKind::Jpeg, &file);
            without_location(&file);
        }
    }
}
