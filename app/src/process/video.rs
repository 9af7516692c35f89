//! Clips: validated by ffprobe, with a poster by ffmpeg.
//!
//! Neither opens anything but the file: `-protocol_whitelist` leaves no protocol for addresses, `-format_whitelist` no playlist
//! that names other files, and the launcher no rights for either.

mod container;
mod probe;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use self::probe::{Clip, ProbeOutput};
use super::{
    ImageLimits, Limits, ProcessError,
    fault::is_fault,
    limits::{Finished, Launcher, Program, cause_of_death},
    memory,
    pool::Pool,
    programs::VideoPrograms,
};
use crate::validate::ValidationError;

/// ffprobe reads the beginning of a clip and its index.
const PROBE: Limits = Limits {
    memory: 1 << 30,
    file_size: 0,
    background: false,
    processor_time: Duration::from_secs(5),
    time: Duration::from_secs(30),
};

/// ffmpeg decodes some frames; of 8K, a reference frame takes 50 MB.
const POSTER: Limits = Limits {
    memory: 2 << 30,
    file_size: 0,
    background: false,
    processor_time: Duration::from_secs(20),
    time: Duration::from_secs(60),
};

/// ffmpeg's names of the containers that browsers play: MP4 and QuickTime, Matroska and WebM.
const FORMATS: &str = "mov,matroska";

/// Longest side of a poster, in pixels, as of a thumbnail.
const MAX_SIDE: u32 = 600;

/// Frames of which ffmpeg's filter `thumbnail` selects the one that is most like all of them.
const FRAMES: u32 = 12;

/// Where a poster is looked for, as parts of the duration, until one is not near black.
const POSTER_TIMES: [f64; 4] = [0.1, 0.35, 0.65, 0.0];

/// Mean brightness, 0 to 1, below which a frame is near black.
const NEAR_BLACK: f64 = 0.06;

/// What is derived of a clip.
#[derive(Clone, Debug)]
pub struct DerivedVideo {
    pub mime_type: String,
    /// As displayed, in pixels.
    pub width: u32,
    /// As displayed, in pixels.
    pub height: u32,
    pub duration_ms: u64,
    /// ffmpeg's name: h264, vp8, vp9 or av1.
    pub codec: String,
    pub has_audio: bool,
    pub poster: DerivedPoster,
    /// Whether its metadata has a place.
    pub has_location: bool,
}

/// A frame of a clip.
#[derive(Clone, Debug)]
pub struct DerivedPoster {
    /// WebP, as of a picture.
    pub thumbnail: Vec<u8>,
    pub thumbhash: Vec<u8>,
}

/// Validates a clip and derives what is stored beside it.
pub async fn derive(
    pool: &Pool,
    launcher: &Launcher,
    programs: VideoPrograms<'_>,
    file: &Path,
) -> Result<DerivedVideo, ProcessError> {
    let ffmpeg = Ffmpeg { launcher, programs, file };
    let mut clip = Clip::new(ffmpeg.probe().await?)?;
    if clip.duration.is_zero() {
        clip.duration = ffmpeg.last_timestamp(&clip).await?;
    }
    let mime_type = match clip.is_mov {
        true if !container::is_whole(file).await.map_err(anyhow::Error::from)? => {
            return Err(ValidationError::CorruptVideo.into());
        }
        true if clip.is_quicktime => "video/quicktime",
        true => "video/mp4",
        false if container::is_webm(file).await.map_err(anyhow::Error::from)? => "video/webm",
        false => "video/x-matroska",
    };
    let poster = poster(pool, &ffmpeg, &clip).await?;
    Ok(DerivedVideo {
        mime_type: mime_type.to_owned(),
        width: clip.width,
        height: clip.height,
        duration_ms: clip.duration.as_millis().try_into().map_err(anyhow::Error::from)?,
        codec: clip.codec,
        has_audio: clip.has_audio,
        poster,
        has_location: clip.has_location,
    })
}

/// The first frame that is not near black, else the brightest.
async fn poster(pool: &Pool, ffmpeg: &Ffmpeg<'_>, clip: &Clip) -> Result<DerivedPoster, ProcessError> {
    let mut brightest: Option<(f64, DerivedPoster)> = None;
    for part in POSTER_TIMES {
        let Some(png) = ffmpeg.frame(clip, clip.duration.mul_f64(part)).await? else { continue };
        let limits = ImageLimits { max_pixels: u64::from(MAX_SIDE * MAX_SIDE) };
        let image = pool.image(memory::file(&[&png])?, limits).await?;
        let brightness = mean_brightness(&image.thumbhash);
        let poster = DerivedPoster { thumbnail: image.thumbnail, thumbhash: image.thumbhash };
        if brightness >= NEAR_BLACK {
            return Ok(poster);
        }
        if brightest.as_ref().is_none_or(|(brightest, _)| brightness > *brightest) {
            brightest = Some((brightness, poster));
        }
    }
    brightest.map(|(_, poster)| poster).ok_or(ProcessError::Invalid(ValidationError::CorruptVideo))
}

/// By the first six bits of a thumbhash: 0 to 63.
fn mean_brightness(thumbhash: &[u8]) -> f64 {
    thumbhash.first().map_or(0.0, |first| f64::from(first & 63) / 63.0)
}

/// Both programs, for one file.
struct Ffmpeg<'a> {
    launcher: &'a Launcher,
    programs: VideoPrograms<'a>,
    file: &'a Path,
}

impl Ffmpeg<'_> {
    async fn probe(&self) -> Result<ProbeOutput, ProcessError> {
        let arguments = ["-show_format", "-show_streams", "-of", "json"];
        let output = self.ffprobe(&arguments, 1 << 20).await?;
        serde_json::from_slice(&output).map_err(|_| ValidationError::CorruptVideo.into())
    }

    /// Of a clip whose header has no duration, such as one that a browser recorded.
    async fn last_timestamp(&self, clip: &Clip) -> Result<Duration, ProcessError> {
        let stream = clip.stream.to_string();
        let arguments = ["-select_streams", &stream, "-show_entries", "packet=pts_time", "-of", "csv=p=0"];
        let output = self.ffprobe(&arguments, 64 << 20).await?;
        let last = output.split(|byte| *byte == b'\n').filter_map(|line| {
            let seconds: f64 = std::str::from_utf8(line).ok()?.trim_end_matches(',').parse().ok()?;
            Duration::try_from_secs_f64(seconds).ok()
        });
        Ok(last.max().unwrap_or_default())
    }

    /// A frame near this time as PNG, in the clip's size as displayed, scaled down; `None` if no frame can be decoded there.
    async fn frame(&self, clip: &Clip, time: Duration) -> Result<Option<Vec<u8>>, ProcessError> {
        let (width, height) = clip.size_within(MAX_SIDE);
        let filters = format!("thumbnail={FRAMES},scale={width}:{height}:flags=area,format=rgb24");
        let (time, stream) = (format!("{:.3}", time.as_secs_f64()), format!("0:{}", clip.stream));
        let before = ["-nostdin", "-threads", "1", "-ss", &time];
        let after = ["-map", &stream, "-vf", &filters, "-frames:v", "1", "-f", "image2pipe", "-c:v", "png", "pipe:1"];
        let max_output = u64::from(MAX_SIDE * MAX_SIDE * 4);
        let finished = self.run(self.programs.ffmpeg, &before, &after, POSTER, max_output).await?;
        if finished.status.code().is_some() {
            return Ok(Some(finished.output).filter(|png| !png.is_empty()));
        }
        match cause_of_death(finished.status, &finished.last_words) {
            ProcessError::Crashed(_) if is_fault(finished.status) => Ok(None),
            cause => Err(cause),
        }
    }

    /// The output; a file that makes ffprobe fail, crash, or exceed its limits is corrupt.
    async fn ffprobe(&self, arguments: &[&str], max_output: u64) -> Result<Vec<u8>, ProcessError> {
        let finished = self.run(self.programs.ffprobe, &[], arguments, PROBE, max_output).await?;
        finished.success().map_err(|error| match error {
            ProcessError::Internal(error) => ProcessError::Internal(error),
            _ => ProcessError::Invalid(ValidationError::CorruptVideo),
        })
    }

    async fn run(
        &self,
        path: &Path,
        before: &[&str],
        after: &[&str],
        limits: Limits,
        max_output: u64,
    ) -> Result<Finished, ProcessError> {
        let mut file = OsString::from("file:");
        file.push(self.file);
        let always = ["-v", "error", "-protocol_whitelist", "file,pipe", "-format_whitelist", FORMATS];
        let arguments = always.iter().chain(before).map(OsString::from).chain(["-i".into(), file]);
        let program = Program {
            path,
            arguments: arguments.chain(after.iter().map(OsString::from)).collect(),
            // Each thread would reserve a part of the address space for its memory.
            environment: vec![("MALLOC_ARENA_MAX", OsString::from("1"))],
            input: Stdio::null(),
            readable: vec![PathBuf::from(self.file)],
            limits,
            max_output,
        };
        self.launcher.run(program).await
    }
}
