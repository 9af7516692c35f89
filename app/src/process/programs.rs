//! Which programs this machine has, and so which features are on.

use std::{
    ffi::OsString,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tracing::{info, warn};

use super::{
    ProcessError,
    limits::{Launcher, Program},
    ocr,
};

/// Which features have their programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// ffprobe and ffmpeg.
    pub video: bool,
    /// Tesseract with its models for English and Finnish.
    pub ocr: bool,
    /// heif-convert.
    pub heif: bool,
    /// avifdec beside it.
    pub fast_avif: bool,
}

/// The programs that were found.
pub struct Programs {
    ffprobe: Option<PathBuf>,
    ffmpeg: Option<PathBuf>,
    tesseract: Option<PathBuf>,
    heif_convert: Option<PathBuf>,
    avifdec: Option<PathBuf>,
}

/// What clips take.
#[derive(Clone, Copy)]
pub struct VideoPrograms<'a> {
    pub ffprobe: &'a Path,
    pub ffmpeg: &'a Path,
}

impl Programs {
    /// Looks on the `PATH`, and asks Tesseract for its models.
    pub async fn find(launcher: &Launcher, model_dir: Option<&Path>) -> Self {
        let found = Self {
            ffprobe: on_path("ffprobe"),
            ffmpeg: on_path("ffmpeg"),
            tesseract: match on_path("tesseract") {
                Some(tesseract) => has_models(launcher, &tesseract, model_dir).await.then_some(tesseract),
                None => None,
            },
            heif_convert: on_path("heif-convert"),
            avifdec: on_path("avifdec"),
        };
        let Features { video, ocr, heif, fast_avif } = found.features();
        info!(video, ocr, heif, fast_avif, "features by the programs on this machine");
        found
    }

    pub fn features(&self) -> Features {
        Features {
            video: self.ffprobe.is_some() && self.ffmpeg.is_some(),
            ocr: self.tesseract.is_some(),
            heif: self.heif_convert.is_some(),
            fast_avif: self.heif_convert.is_some() && self.avifdec.is_some(),
        }
    }

    pub fn video(&self) -> Result<VideoPrograms<'_>, ProcessError> {
        match (&self.ffprobe, &self.ffmpeg) {
            (Some(ffprobe), Some(ffmpeg)) => Ok(VideoPrograms { ffprobe, ffmpeg }),
            _ => Err(ProcessError::Unavailable("video")),
        }
    }

    pub fn tesseract(&self) -> Result<&Path, ProcessError> {
        self.tesseract.as_deref().ok_or(ProcessError::Unavailable("ocr"))
    }
}

/// `PATH` is no setting of the service: it says where the machine keeps its programs.
pub fn path() -> Option<OsString> {
    std::env::var_os("PATH")
}

fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&path()?).map(|folder| folder.join(program)).find(|file| {
        let metadata = fs_err::metadata(file);
        metadata.is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    })
}

async fn has_models(launcher: &Launcher, tesseract: &Path, model_dir: Option<&Path>) -> bool {
    let list = Program { arguments: vec![OsString::from("--list-langs")], ..ocr::tesseract(tesseract, model_dir) };
    let listed = match launcher.run(list).await.and_then(|finished| finished.success()) {
        Ok(listed) => listed,
        Err(error) => {
            warn!(%error, "OCR is off: Tesseract does not list its models");
            return false;
        }
    };
    let listed = String::from_utf8_lossy(&listed);
    let missing: Vec<&str> =
        ocr::LANGUAGES.into_iter().filter(|model| !listed.lines().any(|line| line == *model)).collect();
    let complete = missing.is_empty();
    if !complete {
        let packages: Vec<String> = missing.iter().map(|model| format!("tesseract-ocr-{model}")).collect();
        let (missing, packages) = (missing.join(", "), packages.join(", "));
        warn!(missing, packages, "OCR is off: Tesseract lacks models; Debian has them as packages");
    }
    complete
}
