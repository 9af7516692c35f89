//! Clips: what is accepted, with which properties, and what is refused.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use app::process::{DerivedVideo, ProcessError, Processes, ValidationError};
use tempfile::TempDir;

use crate::{pictures::decode_webp, process::processes};

/// Makes clips by ffmpeg.
struct Studio {
    folder: TempDir,
    processes: Processes,
}

impl Studio {
    /// `None` if this machine has no ffmpeg.
    async fn open() -> Option<Self> {
        let processes = processes(|_| {}).await;
        if !processes.features().video {
            eprintln!("skipped: ffmpeg is not installed");
            return None;
        }
        Some(Self { folder: tempfile::tempdir().unwrap(), processes })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The arguments are separated by spaces.
    fn make(&self, arguments: &str, name: &str) -> PathBuf {
        let path = self.path(name);
        let made = Command::new("ffmpeg").args(["-v", "error", "-y"]).args(arguments.split(' ')).arg(&path).output();
        let made = made.unwrap();
        assert!(made.status.success(), "{name}: {}", String::from_utf8_lossy(&made.stderr));
        path
    }

    async fn accepted(&self, path: &Path) -> DerivedVideo {
        let clip = self.processes.video(path).await.unwrap_or_else(|error| panic!("{}: {error:?}", path.display()));
        let poster = decode_webp(&clip.poster.thumbnail);
        let scale = (600.0 / f64::from(clip.width.max(clip.height))).min(1.0);
        let expected = [clip.width, clip.height].map(|side| (f64::from(side) * scale).round() as u32);
        assert_eq!([poster.width(), poster.height()], expected, "{}", path.display());
        clip
    }

    async fn refused(&self, path: &Path) -> ValidationError {
        match self.processes.video(path).await {
            Err(ProcessError::Invalid(error)) => error,
            other => panic!("{}: {other:?}", path.display()),
        }
    }
}

const PICTURE: &str = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=2";

#[tokio::test]
async fn clips_that_browsers_play_are_accepted() {
    let Some(studio) = Studio::open().await else { return };
    let sound = "-f lavfi -i sine=duration=2 -shortest";
    for (arguments, name, mime_type, codec) in [
        ("-c:v libx264 -pix_fmt yuv420p -c:a aac", "clip.mp4", "video/mp4", "h264"),
        ("-c:v libx264 -pix_fmt yuv420p -c:a aac", "clip.mov", "video/quicktime", "h264"),
        ("-c:v libx264 -pix_fmt yuv420p -c:a aac", "clip.mkv", "video/x-matroska", "h264"),
        ("-c:v libvpx -c:a libvorbis", "vp8.webm", "video/webm", "vp8"),
        ("-c:v libvpx-vp9 -c:a libopus", "vp9.webm", "video/webm", "vp9"),
        ("-c:v libsvtav1 -pix_fmt yuv420p10le -c:a libopus", "av1.mp4", "video/mp4", "av1"),
    ] {
        let clip = studio.accepted(&studio.make(&format!("{PICTURE} {sound} {arguments}"), name)).await;
        assert_eq!((clip.mime_type.as_str(), clip.codec.as_str()), (mime_type, codec), "{name}");
        assert_eq!((clip.width, clip.height, clip.has_audio, clip.has_location), (320, 180, true, false), "{name}");
        assert!((1900..2200).contains(&clip.duration_ms), "{name}: {} ms", clip.duration_ms);
    }
}

#[tokio::test]
async fn dimensions_are_those_of_the_display() {
    let Some(studio) = Studio::open().await else { return };
    let upright = studio.make(&format!("{PICTURE} -pix_fmt yuv420p"), "upright.mp4");
    let rotated = studio.make(&format!("-i {} -c copy -metadata:s:v rotate=90", upright.display()), "rotated.mp4");
    let clip = studio.accepted(&rotated).await;
    assert_eq!((clip.width, clip.height, clip.has_audio), (180, 320, false));
    let odd = studio.make("-f lavfi -i testsrc=size=321x181:duration=1 -pix_fmt yuv420p -c:v libvpx-vp9", "odd.webm");
    let clip = studio.accepted(&odd).await;
    assert_eq!((clip.width, clip.height), (321, 181));
    let wide = studio.make(&format!("{PICTURE} -vf setsar=2 -pix_fmt yuv420p"), "wide.mp4");
    assert_eq!(studio.accepted(&wide).await.width, 640);
    let large =
        studio.make("-f lavfi -i testsrc2=size=3840x2160:duration=1 -pix_fmt yuv420p -preset ultrafast", "4k.mp4");
    assert_eq!(studio.accepted(&large).await.width, 3840);
}

#[tokio::test]
async fn the_poster_is_not_black() {
    let Some(studio) = Studio::open().await else { return };
    let fade = "fade=in:start_time=3:duration=1";
    let source = format!("-f lavfi -i testsrc2=size=320x180:duration=10 -vf {fade} -pix_fmt yuv420p");
    let clip = studio.accepted(&studio.make(&source, "fade.mp4")).await;
    let poster = decode_webp(&clip.poster.thumbnail).into_luma8();
    let mean = poster.iter().map(|value| u64::from(*value)).sum::<u64>() / poster.len() as u64;
    assert!(mean > 50, "{mean}");
    let black = studio.make("-f lavfi -i color=black:size=320x180:duration=2 -pix_fmt yuv420p", "black.mp4");
    studio.accepted(&black).await;
}

#[tokio::test]
async fn durations_and_places_come_from_the_file() {
    let Some(studio) = Studio::open().await else { return };
    // As a browser records: written without a way back to the header.
    let live = studio.path("live.webm");
    let made = Command::new("ffmpeg")
        .args(["-v", "error"])
        .args(PICTURE.split(' '))
        .args(["-c:v", "libvpx", "-live", "1", "-f", "webm", "pipe:1"])
        .output();
    fs_err::write(&live, made.unwrap().stdout).unwrap();
    let clip = studio.accepted(&live).await;
    assert!((1900..2200).contains(&clip.duration_ms), "{} ms", clip.duration_ms);
    let long = studio.make("-f lavfi -i color=gray:size=64x64:rate=1:duration=36000 -pix_fmt yuv420p", "long.mp4");
    assert_eq!(studio.accepted(&long).await.duration_ms, 36_000_000);
    let place = "-metadata location=+60.1699+024.9384/";
    let clip = studio.accepted(&studio.make(&format!("{PICTURE} -pix_fmt yuv420p {place}"), "place.mp4")).await;
    assert!(clip.has_location);
    let still = studio.make("-f lavfi -i testsrc2=size=320x180 -frames:v 1 -pix_fmt yuv420p", "still.mp4");
    studio.accepted(&still).await;
}

#[tokio::test]
async fn clips_that_not_all_browsers_play_are_refused_by_name() {
    let Some(studio) = Studio::open().await else { return };
    let hlg = "-color_trc arib-std-b67 -colorspace bt2020nc -color_primaries bt2020";
    for (arguments, name, expected) in [
        ("-c:v libx265 -pix_fmt yuv420p -x265-params log-level=0".to_owned(), "hevc.mp4", "hevc yuv420p"),
        ("-c:v libx264 -pix_fmt yuv420p10le".to_owned(), "high10.mp4", "h264 yuv420p10le"),
        ("-c:v libx264 -pix_fmt yuv444p".to_owned(), "444.mp4", "h264 yuv444p"),
        (format!("-c:v libvpx-vp9 -pix_fmt yuv420p {hlg}"), "hlg.webm", "vp9 yuv420p in HLG"),
        ("-c:v mpeg4".to_owned(), "mpeg4.mp4", "mpeg4 yuv420p"),
    ] {
        let error = studio.refused(&studio.make(&format!("{PICTURE} {arguments}"), name)).await;
        assert_eq!(error, ValidationError::UnsupportedCodec { found: expected.to_owned() });
    }
}

#[tokio::test]
async fn broken_and_huge_clips_are_refused() {
    let Some(studio) = Studio::open().await else { return };
    let whole = fs_err::read(studio.make(&format!("{PICTURE} -pix_fmt yuv420p"), "whole.mp4")).unwrap();
    let index = whole.windows(4).position(|bytes| bytes == b"moov").unwrap();
    let mut hostile = whole.clone();
    // Every length and count of the index is as large as it can be.
    hostile[index + 100..].iter_mut().step_by(3).for_each(|byte| *byte = 0xff);
    let early = studio.make(&format!("{PICTURE} -pix_fmt yuv420p -movflags +faststart"), "early.mp4");
    let early = fs_err::read(early).unwrap();
    for (name, bytes) in [
        ("cut-index.mp4", &whole[..index + 300]),
        ("cut-frames.mp4", &early[..early.len() / 2]),
        ("no-index.mp4", &whole[..index - 4]),
        ("hostile.mp4", &hostile),
        ("text.mp4", b"no clip at all"),
        ("empty.mp4", b""),
    ] {
        let path = studio.path(name);
        fs_err::write(&path, bytes).unwrap();
        assert_eq!(studio.refused(&path).await, ValidationError::CorruptVideo, "{name}");
    }
    let sound = studio.make("-f lavfi -i sine=duration=2 -c:a aac", "sound.mp4");
    assert_eq!(studio.refused(&sound).await, ValidationError::NoVideoTrack);
    let huge = "-f lavfi -i color=gray:size=9216x4608 -frames:v 1 -pix_fmt yuv420p -preset ultrafast";
    let huge = studio.make(huge, "huge.mp4");
    assert!(matches!(studio.refused(&huge).await, ValidationError::TooManyPixels { width: 9216, .. }));
}

#[tokio::test]
async fn a_playlist_opens_no_other_file_and_no_address() {
    let Some(studio) = Studio::open().await else { return };
    let other = studio.make(&format!("{PICTURE} -pix_fmt yuv420p"), "other.mp4");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/clip.mp4", listener.local_addr().unwrap());
    for (name, content) in [
        ("hls-file.mp4", format!("#EXTM3U\n#EXTINF:2,\nfile:{}\n", other.display()).into_bytes()),
        ("hls-address.mp4", format!("#EXTM3U\n#EXTINF:2,\n{address}\n").into_bytes()),
        ("concat.mp4", format!("ffconcat version 1.0\nfile {}\n", other.display()).into_bytes()),
        ("concat-protocol.mp4", format!("concat:{}|{address}", other.display()).into_bytes()),
        ("reference-file.mov", reference_movie(&format!("file://{}", other.display()))),
        ("reference-address.mov", reference_movie(&address)),
    ] {
        let path = studio.path(name);
        fs_err::write(&path, content).unwrap();
        let refusing = studio.refused(&path);
        tokio::select! {
            error = refusing => assert_eq!(error, ValidationError::CorruptVideo, "{name}"),
            _ = listener.accept() => panic!("{name}: the address was opened"),
        }
    }
}

/// A QuickTime file that consists of the address of another one.
fn reference_movie(address: &str) -> Vec<u8> {
    let atom = |name: &[u8; 4], content: &[u8]| {
        [&u32::try_from(content.len() + 8).unwrap().to_be_bytes(), name.as_slice(), content].concat()
    };
    let length = u32::try_from(address.len() + 1).unwrap().to_be_bytes();
    let reference = [&[0; 4], b"url ".as_slice(), &length, address.as_bytes(), b"\0"].concat();
    let movie = atom(b"moov", &atom(b"rmra", &atom(b"rmda", &atom(b"rdrf", &reference))));
    [atom(b"ftyp", b"qt  \0\0\0\0qt  "), movie].concat()
}
