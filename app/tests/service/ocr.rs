//! The text of pictures.

use std::{path::Path, process::Command};

use app::process::{ProcessError, Processes};

use crate::process::processes;

const FONT: &str = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf";

/// `None` if this machine lacks a program or the font.
async fn reader() -> Option<Processes> {
    let processes = processes(|_| {}).await;
    let features = processes.features();
    if features.ocr && features.video && Path::new(FONT).exists() {
        return Some(processes);
    }
    eprintln!(
        "skipped: tesseract, its models for English and Finnish, ffmpeg, or the font DejaVu Sans is not installed"
    );
    None
}

fn draw(text: &str, ground: &str, filters: &str, path: &Path) {
    let text_file = path.with_extension("txt");
    fs_err::write(&text_file, text).unwrap();
    let text =
        format!("drawtext=fontfile={FONT}:textfile={}:fontsize=48:x=40:y=40:line_spacing=20", text_file.display());
    let source = format!("color={ground}:size=1200x400,format=rgba,{text}{filters}");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-f", "lavfi", "-i", &source, "-frames:v", "1"]).arg(path);
    let made = ffmpeg.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[tokio::test]
async fn english_and_finnish_are_read() {
    let Some(processes) = reader().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("picture.png");
    draw("Quarterly report of the harbour\nHyvää yötä, pääsiäismunia ja kesämökki", "white", "", &picture);
    let text = processes.ocr(&picture).await.unwrap();
    for expected in ["Quarterly report of the harbour", "Hyvää yötä", "kesämökki"] {
        assert!(text.contains(expected), "{text}");
    }
    assert!(!text.contains('\0') && text.trim() == text, "{text:?}");
}

#[tokio::test]
async fn text_on_a_transparent_ground_and_on_its_side_is_read() {
    let Some(processes) = reader().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let transparent = folder.path().join("transparent.png");
    // Without the ground's alpha channel, black would be on black.
    draw("A transparent ground", "black@0.0", "", &transparent);
    assert_eq!(processes.ocr(&transparent).await.unwrap(), "A transparent ground");

    let side = folder.path().join("side.png");
    draw("Turned by the camera", "white", ",transpose=cclock", &side);
    let pixels = image::open(&side).unwrap().into_rgb8();
    let mut jpeg = Vec::new();
    let image = turbojpeg::Image {
        pixels: pixels.as_raw().as_slice(),
        width: pixels.width() as usize,
        pitch: pixels.width() as usize * 3,
        height: pixels.height() as usize,
        format: turbojpeg::PixelFormat::RGB,
    };
    jpeg.extend_from_slice(&turbojpeg::compress(image, 90, turbojpeg::Subsamp::None).unwrap());
    // An EXIF block with the orientation "turn by 90 degrees" alone, after the first two bytes.
    let exif = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    jpeg.splice(2..2, exif.iter().copied());
    let side = side.with_extension("jpg");
    fs_err::write(&side, jpeg).unwrap();
    assert_eq!(processes.ocr(&side).await.unwrap(), "Turned by the camera");
}

#[tokio::test]
async fn a_picture_without_text_has_none() {
    let Some(processes) = reader().await else { return };
    let folder = tempfile::tempdir().unwrap();
    for (width, height) in [(2, 2), (3, 5000), (640, 480)] {
        let path = folder.path().join(format!("{width}x{height}.png"));
        image::GrayImage::from_pixel(width, height, image::Luma([200])).save(&path).unwrap();
        assert_eq!(processes.ocr(&path).await.unwrap(), "", "{width}x{height}");
    }
}

#[tokio::test]
async fn without_its_models_ocr_is_off() {
    let folder = tempfile::tempdir().unwrap();
    let processes = processes(|settings| settings.model_dir = Some(folder.path().into())).await;
    assert!(!processes.features().ocr);
    let error = processes.ocr(folder.path()).await.unwrap_err();
    assert!(matches!(error, ProcessError::Unavailable("ocr")), "{error:?}");
}
