//! Files that are made to take long, to take much memory, or to be something else: through the processes of the service, with
//! less time than the service gives. An undamaged picture is accepted all the same.

use std::{io::Read as _, time::Duration};

use app::process::{ImageLimits, ProcessError, Processes};
use flate2::{Compression, read::ZlibEncoder};

use crate::{pictures, process::processes, support::Service};

const LIMITS: ImageLimits = ImageLimits { max_pixels: 40_000_000 };

/// Of each file. What is made to take long would take minutes.
const PROCESSOR_TIME: Duration = Duration::from_secs(10);

const ACCEPTED: &str = "accepted";

async fn verdict(processes: &Processes, bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(file.path(), bytes).unwrap();
    match processes.image(file.path(), LIMITS).await {
        Ok(_) => ACCEPTED.to_owned(),
        Err(ProcessError::Invalid(error)) => error.code().as_str().to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

async fn assert_verdicts(cases: Vec<(&str, Vec<u8>, &str)>) {
    let processes = processes(|settings| settings.picture.processor_time = PROCESSOR_TIME).await;
    for (case, bytes, expected) in cases {
        assert_eq!(verdict(&processes, &bytes).await, expected, "{case}");
    }
}

#[tokio::test]
async fn bombs_are_refused_and_long_files_take_little() {
    assert_verdicts(vec![
        ("a PNG of 30,000 × 30,000 pixels in 110 KB", white_png(30_000), "too_many_pixels"),
        ("a progressive JPEG that claims 60,000 × 60,000 pixels", claiming(0xc2, 60_000, 60_000), "too_many_pixels"),
        ("a JPEG of 480 scans", jpeg_with_scans(480), "too_many_pixels"),
        ("a GIF of 100,000 frames", gif_with_frames(100_000), ACCEPTED),
        ("a PNG with 3000 texts of 4 MB", png_with_bombs(b"zTXt", b"Comment\0\0", 3000), ACCEPTED),
        ("a PNG with 1000 profiles of 4 MB", png_with_bombs(b"iCCP", b"p\0\0", 1000), ACCEPTED),
        ("a JPEG of 10 MB whose EXIF shares its values", jpeg_with_shared_values(), ACCEPTED),
    ])
    .await;
}

#[tokio::test]
async fn headers_that_lie_are_found_out() {
    let png = pictures::png(8, 8);
    let mut giant_chunk = png.clone();
    giant_chunk[33..37].copy_from_slice(&u32::MAX.to_be_bytes());
    let mut webp = pictures::webp(40, 30);
    webp[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut canvas = pictures::gif(40, 30, 2);
    canvas[6..10].copy_from_slice(&[0xff; 4]);
    let mut frame = pictures::gif(40, 30, 1);
    let descriptor = frame.windows(9).position(|bytes| bytes == [0x2c, 0, 0, 0, 0, 40, 0, 30, 0]).unwrap();
    frame[descriptor + 5..descriptor + 9].copy_from_slice(&[0xff; 4]);
    assert_verdicts(vec![
        ("a PNG of 6000 × 6000 pixels that has 64", pictures::png_claiming(6000, 6000, 8, 2), "corrupt_image"),
        (
            "a PNG of 4 294 967 295 pixels each way",
            pictures::png_claiming(u32::MAX, u32::MAX, 16, 6),
            "too_many_pixels",
        ),
        ("a PNG with a chunk of 4 GB", giant_chunk, "corrupt_image"),
        ("a JPEG of 6000 × 6000 pixels that has 4096", claiming(0xc0, 6000, 6000), "corrupt_image"),
        ("a progressive JPEG of 6000 × 6000 pixels that has 4096", claiming(0xc2, 6000, 6000), "corrupt_image"),
        ("a WebP of 4 GB", webp, "corrupt_image"),
        ("a GIF with a canvas of 4295 megapixels", canvas, "too_many_pixels"),
        ("a GIF with a frame of 4295 megapixels", frame, "too_many_pixels"),
    ])
    .await;
}

#[tokio::test]
async fn metadata_that_points_to_itself_ends() {
    let jpeg = pictures::jpeg(40, 30);
    // Each table of EXIF and GPS values is the first one, and so is the next.
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x03".to_vec();
    for tag in [0x8769_u16, 0x8825, 0xa005] {
        exif.extend(tag.to_be_bytes());
        exif.extend(b"\0\x04\0\0\0\x01\0\0\0\x08");
    }
    exif.extend(b"\0\0\0\x08");
    let mut tiff = pictures::encode(&pictures::photograph(40, 30).into(), image::ImageFormat::Tiff);
    let table = u32::from_le_bytes(*tiff[4..].first_chunk().unwrap()) as usize;
    let count = usize::from(u16::from_le_bytes(*tiff[table..].first_chunk().unwrap()));
    let next = table + 2 + 12 * count;
    tiff.resize(tiff.len().max(next + 4), 0);
    tiff[next..next + 4].copy_from_slice(&(table as u32).to_le_bytes());
    assert_verdicts(vec![("EXIF", with_segment(&jpeg, 0xe1, &exif), ACCEPTED), ("a TIFF", tiff, "corrupt_image")])
        .await;
}

/// Whatever else they are, they are served as the picture that they are, and browsers do not look for more.
#[tokio::test]
async fn files_of_two_types_are_served_as_pictures() {
    let service = Service::signed_in().await;
    let script = b"*/=1;/*<html><script>alert(1)</script></html>*/";
    let html_in_jpeg = with_segment(&pictures::jpeg(40, 30), 0xfe, script);
    let zip_behind_png = [pictures::png(40, 30).as_slice(), b"PK\x05\x06", &[0; 18]].concat();
    let mut script_in_gif = pictures::gif(40, 30, 1);
    script_in_gif.extend(script);
    for (name, bytes, mime_type) in [
        ("page.html", html_in_jpeg, "image/jpeg"),
        ("archive.zip", zip_behind_png, "image/png"),
        ("script.js", script_in_gif, "image/gif"),
    ] {
        let (status, media) = service.upload(&bytes, name, "text/html").await;
        assert_eq!(status.as_u16(), 201, "{name}: {media}");
        let served = service.get(media["file_url"].as_str().unwrap()).await;
        let header = |name: &str| served.headers()[name].to_str().unwrap().to_owned();
        assert_eq!((header("content-type"), header("x-content-type-options")), (mime_type.into(), "nosniff".into()));
        assert!(header("content-security-policy").contains("sandbox"), "{name}");
    }
}

fn with_segment(jpeg: &[u8], marker: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, marker], &length, data, &jpeg[2..]].concat()
}

fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let checked = [name, data].concat();
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&length, checked.as_slice(), &crc32fast::hash(&checked).to_be_bytes()].concat()
}

fn compressed(data: impl std::io::Read) -> Vec<u8> {
    let mut compressed = Vec::new();
    ZlibEncoder::new(data, Compression::fast()).read_to_end(&mut compressed).unwrap();
    compressed
}

/// A whole, undamaged PNG of one bit a pixel.
fn white_png(side: u32) -> Vec<u8> {
    let row = u64::from(side.div_ceil(8)) + 1;
    let pixels = compressed(std::io::repeat(0).take(row * u64::from(side)));
    let header = [&side.to_be_bytes()[..], &side.to_be_bytes(), &[1, 0, 0, 0, 0]].concat();
    [b"\x89PNG\r\n\x1a\n".as_slice(), &chunk(b"IHDR", &header), &chunk(b"IDAT", &pixels), &chunk(b"IEND", b"")].concat()
}

/// A picture of 64 × 64 pixels, with this many chunks before its pixels that are 4 MB each when they are decompressed.
fn png_with_bombs(name: &[u8; 4], beginning: &[u8], count: usize) -> Vec<u8> {
    let bomb = chunk(name, &[beginning, &compressed(std::io::repeat(0).take(4 << 20))].concat());
    let png = pictures::png(64, 64);
    [&png[..33], &bomb.repeat(count), &png[33..]].concat()
}

/// A JPEG of 64 × 64 pixels that claims another size; the marker tells whether it is progressive.
fn claiming(marker: u8, width: u16, height: u16) -> Vec<u8> {
    let mut jpeg = if marker == 0xc2 { pictures::progressive_jpeg(64, 64) } else { pictures::jpeg(64, 64) };
    let frame = jpeg.windows(2).position(|found| found == [0xff, marker]).unwrap();
    jpeg[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    jpeg[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    jpeg
}

/// 40 megapixels, of which each scan is a pass over all.
fn jpeg_with_scans(count: usize) -> Vec<u8> {
    let jpeg = claiming(0xc2, 8000, 5000);
    let scan = jpeg.windows(2).rposition(|found| found == [0xff, 0xda]).unwrap();
    let end = jpeg.len() - 2;
    [&jpeg[..end], &jpeg[scan..end].repeat(count), &jpeg[end..]].concat()
}

fn gif_with_frames(count: usize) -> Vec<u8> {
    let gif = pictures::gif(4, 4, 1);
    let frame = gif.windows(2).position(|block| block == [0x21, 0xf9]).unwrap();
    let end = gif.len() - 1;
    [&gif[..frame], &gif[frame..end].repeat(count), &gif[end..]].concat()
}

/// 10 MB of EXIF blocks, one inside the other. All of a segment have the same table of GPS values, of which each value is the
/// same 8000 bytes.
fn jpeg_with_shared_values() -> Vec<u8> {
    const BLOCKS: u32 = 470;
    /// Of a block's beginning, in bytes: marker, length, signature, header, a table of one entry.
    const BLOCK: u32 = 36;
    const VALUES: u16 = 1000;
    let mut segment = Vec::new();
    for at in (0..BLOCKS).map(|number| number * BLOCK) {
        let length = u16::try_from(65_000 - at).unwrap();
        // Offsets count from the header, `MM`.
        let gps = BLOCKS * BLOCK - at - 10;
        segment.extend([b"\xff\xe1".as_slice(), &length.to_be_bytes(), b"Exif\0\0MM\0\x2a\0\0\0\x08"].concat());
        segment.extend([b"\0\x01\x88\x25\0\x04\0\0\0\x01".as_slice(), &gps.to_be_bytes(), &[0; 4]].concat());
    }
    segment.extend(VALUES.to_be_bytes());
    for number in 1..=VALUES {
        segment.extend(
            [&number.to_be_bytes(), b"\0\x07".as_slice(), &8000_u32.to_be_bytes(), &40_000_u32.to_be_bytes()].concat(),
        );
    }
    segment.resize(65_010, 1);
    let jpeg = pictures::jpeg(40, 30);
    let whole = with_segment(b"\xff\xd8", 0xe1, &segment);
    [&jpeg[..2], &whole[2..].repeat(150), &jpeg[2..]].concat()
}
