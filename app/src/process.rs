//! Decodes uploads outside the service's own process, so that a file can crash, hang or exhaust only what is limited.
//!
//! Pictures are decoded by children of the service's own program, which are kept for the next picture. Clips and text are
//! read by ffmpeg and Tesseract, behind the same limits. At most as many of these processes are at work as there are CPUs,
//! and one Tesseract in the background.

pub mod child;
mod fault;
mod image;
pub mod limits;
mod memory;
mod ocr;
mod pool;
mod programs;
mod sandbox;
pub mod slots;
mod video;
mod wire;

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

pub use self::{
    image::{DerivedImage, ImageLimits, thumbnail_size},
    limits::Limits,
    programs::Features,
    video::{DerivedPoster, DerivedVideo},
};
use self::{limits::Launcher, pool::Pool, programs::Programs, slots::Slots};
pub use crate::validate::ValidationError;

/// Runs everything that decodes uploads. There is one per service.
pub struct Processes {
    pool: Pool,
    /// Of what a user waits for.
    launcher: Launcher,
    /// Of Tesseract, which has a slot of its own: pictures do not wait for it.
    background: Launcher,
    programs: Programs,
    model_dir: Option<PathBuf>,
}

/// How [`Processes`] run.
#[derive(Clone, Debug)]
pub struct ProcessSettings {
    /// The service's own program, which is started with a hidden subcommand.
    pub program: PathBuf,
    /// Folder for the files of a program that converts pictures.
    pub spool: PathBuf,
    /// How many processes work at the same time.
    pub cpus: usize,
    /// Folder of Tesseract's models; `None` for the one that Tesseract was built with.
    pub model_dir: Option<PathBuf>,
    /// Of a child that decodes pictures.
    pub picture: Limits,
    /// How long such a child is kept for the next picture.
    pub idle: Duration,
}

impl ProcessSettings {
    /// For this process. Its program is named by the link that stays when a new version replaces the file.
    pub fn new(spool: PathBuf, cpus: usize, model_dir: Option<PathBuf>) -> Self {
        Self { program: "/proc/self/exe".into(), spool, cpus, model_dir, picture: pool::LIMITS, idle: pool::IDLE }
    }
}

/// Why a file was not processed.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The file is at fault; another attempt ends the same way.
    #[error(transparent)]
    Invalid(#[from] ValidationError),
    /// The process ended before it answered. The text has its exit status and its last words.
    #[error("the process crashed: {0}")]
    Crashed(String),
    #[error("the process took too long")]
    TimedOut,
    #[error("the process needs more memory than its limit")]
    OutOfMemory,
    /// The feature of this name is off, because a program that it takes is not on the `PATH`.
    #[error("{0} is off: its programs are not installed")]
    Unavailable(&'static str),
    #[error("{0:#}")]
    Internal(#[from] anyhow::Error),
}

impl Processes {
    /// Looks for the programs on the `PATH`. Children are started by the first pictures.
    pub async fn start(settings: ProcessSettings) -> Self {
        let slots = Slots::new(settings.cpus);
        let launcher = Launcher::new(settings.program.clone(), slots.clone());
        let background = Launcher::new(settings.program.clone(), Slots::new(1));
        let programs = Programs::find(&background, settings.model_dir.as_deref()).await;
        Self { model_dir: settings.model_dir.clone(), pool: Pool::new(settings, slots), launcher, background, programs }
    }

    /// Which features have their programs.
    pub fn features(&self) -> Features {
        self.programs.features()
    }

    /// Validates a picture and derives what is stored beside it.
    ///
    /// # Errors
    /// See [`ProcessError`]. Dropping the future ends the child that works for it.
    pub async fn image(&self, file: &Path, limits: ImageLimits) -> Result<DerivedImage, ProcessError> {
        self.pool.image(open(file).await?, limits).await
    }

    /// Validates a clip and derives what is stored beside it, by ffprobe and ffmpeg.
    ///
    /// # Errors
    /// As [`Processes::image`].
    pub async fn video(&self, file: &Path) -> Result<DerivedVideo, ProcessError> {
        let programs = self.programs.video()?;
        video::derive(&self.pool, &self.launcher, programs, file).await
    }

    /// Reads the text of a picture by Tesseract, English and Finnish: at most 100 KB, without superfluous white space.
    ///
    /// # Errors
    /// As [`Processes::image`].
    pub async fn ocr(&self, file: &Path) -> Result<String, ProcessError> {
        let tesseract = self.programs.tesseract()?;
        ocr::read(&self.pool, &self.background, tesseract, self.model_dir.as_deref(), open(file).await?).await
    }
}

async fn open(path: &Path) -> Result<File, ProcessError> {
    let file = fs_err::tokio::File::open(path).await.map_err(anyhow::Error::from)?;
    Ok(file.into_parts().0.into_std().await)
}
