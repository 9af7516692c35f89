//! What ffprobe says of a clip, and whether browsers play it.

use std::{collections::HashMap, time::Duration};

use serde::Deserialize;

use crate::validate::ValidationError;

/// Of a frame: 8192×4320, the largest format of cameras.
const MAX_PIXELS: u64 = 8192 * 4320;

/// ffprobe's JSON, as far as it is used. All numbers may be missing, and some are texts.
#[derive(Debug, Deserialize)]
pub struct ProbeOutput {
    #[serde(default)]
    streams: Vec<Stream>,
    format: Format,
}

#[derive(Debug, Deserialize)]
struct Format {
    #[serde(default)]
    format_name: String,
    duration: Option<String>,
    #[serde(default)]
    tags: Tags,
}

#[derive(Debug, Deserialize)]
struct Stream {
    index: u32,
    codec_type: Option<String>,
    codec_name: Option<String>,
    pix_fmt: Option<String>,
    color_transfer: Option<String>,
    #[serde(default)]
    width: u32,
    #[serde(default)]
    height: u32,
    sample_aspect_ratio: Option<String>,
    #[serde(default)]
    disposition: Disposition,
    #[serde(default)]
    side_data_list: Vec<SideData>,
    #[serde(default)]
    tags: Tags,
}

#[derive(Debug, Default, Deserialize)]
struct Disposition {
    /// 1 for the cover of an album.
    #[serde(default)]
    attached_pic: u8,
}

#[derive(Debug, Deserialize)]
struct SideData {
    /// Counter-clockwise, in degrees.
    rotation: Option<f64>,
}

type Tags = HashMap<String, String>;

/// A clip that browsers play.
#[derive(Debug)]
pub struct Clip {
    /// The index of the stream that is shown.
    pub stream: u32,
    /// As displayed, in pixels.
    pub width: u32,
    /// As displayed, in pixels.
    pub height: u32,
    /// Zero if the header has none.
    pub duration: Duration,
    pub codec: String,
    pub has_audio: bool,
    pub has_location: bool,
    /// MP4 or QuickTime, and not Matroska.
    pub is_mov: bool,
    pub is_quicktime: bool,
}

impl Clip {
    pub fn new(probed: ProbeOutput) -> Result<Self, ValidationError> {
        let ProbeOutput { streams, format } = probed;
        let is_a = |stream: &Stream, kind: &str| stream.codec_type.as_deref() == Some(kind);
        let shown = streams.iter().find(|stream| is_a(stream, "video") && stream.disposition.attached_pic == 0);
        let has_audio = streams.iter().any(|stream| is_a(stream, "audio"));
        // What has neither is damaged, and its tracks are of no known type.
        let none = if has_audio { ValidationError::NoVideoTrack } else { ValidationError::CorruptVideo };
        let shown = shown.ok_or(none)?;
        let codec = shown.playable_codec()?;
        let (width, height) = shown.displayed_size()?;
        let has_location = streams.iter().map(|stream| &stream.tags).chain([&format.tags]).any(has_location);
        Ok(Self {
            stream: shown.index,
            width,
            height,
            duration: format.duration.as_deref().and_then(seconds).unwrap_or_default(),
            codec,
            has_audio,
            has_location,
            is_mov: format.format_name.starts_with("mov"),
            is_quicktime: format.tags.get("major_brand").is_some_and(|brand| brand.trim_end() == "qt"),
        })
    }

    /// The displayed size, scaled down to this longest side.
    pub fn size_within(&self, longest: u32) -> (u32, u32) {
        let scale = (f64::from(longest) / f64::from(self.width.max(self.height))).min(1.0);
        let scaled = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
        (scaled(self.width), scaled(self.height))
    }
}

impl Stream {
    /// The codec, if all current browsers play it in this form: H.264, VP8 and VP9 with 8 bits and 4:2:0, AV1 with 10 bits
    /// too. HEVC depends on the machine, and so does how high dynamic range looks.
    fn playable_codec(&self) -> Result<String, ValidationError> {
        let codec = self.codec_name.as_deref().unwrap_or("an unknown codec");
        let pixels = self.pix_fmt.as_deref().unwrap_or_default();
        let transfer = match self.color_transfer.as_deref() {
            Some("arib-std-b67") => " in HLG",
            Some("smpte2084") => " in PQ",
            _ => "",
        };
        let playable = match codec {
            "h264" | "vp8" | "vp9" => matches!(pixels, "yuv420p" | "yuvj420p"),
            "av1" => matches!(pixels, "yuv420p" | "yuvj420p" | "yuv420p10le"),
            _ => false,
        };
        if playable && transfer.is_empty() {
            return Ok(codec.to_owned());
        }
        // Without frames, the decoder has said nothing of their pixels.
        if pixels.is_empty() && matches!(codec, "h264" | "vp8" | "vp9" | "av1") {
            return Err(ValidationError::CorruptVideo);
        }
        let pixels = if pixels.is_empty() { String::new() } else { format!(" {pixels}") };
        Err(ValidationError::UnsupportedCodec { found: format!("{codec}{pixels}{transfer}") })
    }

    /// With the pixels made square, and after rotation.
    fn displayed_size(&self) -> Result<(u32, u32), ValidationError> {
        let Self { width, height, .. } = *self;
        if width == 0 || height == 0 {
            return Err(ValidationError::CorruptVideo);
        }
        let wide = f64::from(width) * self.pixel_ratio();
        if wide * f64::from(height) > MAX_PIXELS as f64 || u64::from(width) * u64::from(height) > MAX_PIXELS {
            return Err(ValidationError::TooManyPixels { width, height, limit: MAX_PIXELS });
        }
        let width = (wide.round() as u32).max(1);
        let rotation = self.side_data_list.iter().find_map(|data| data.rotation).unwrap_or(0.0);
        let on_its_side = (rotation.rem_euclid(180.0) - 90.0).abs() < 45.0;
        Ok(if on_its_side { (height, width) } else { (width, height) })
    }

    /// Width to height of a pixel; 1 if it is unknown.
    fn pixel_ratio(&self) -> f64 {
        let ratio = self.sample_aspect_ratio.as_deref().and_then(|ratio| {
            let (width, height) = ratio.split_once(':')?;
            Some(width.parse::<f64>().ok()? / height.parse::<f64>().ok()?)
        });
        ratio.filter(|ratio| ratio.is_finite() && *ratio > 0.0).unwrap_or(1.0)
    }
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

/// Phones write `location` or `com.apple.quicktime.location.ISO6709`, with a language or without.
fn has_location(tags: &Tags) -> bool {
    tags.keys().any(|name| name.to_ascii_lowercase().contains("location"))
}
