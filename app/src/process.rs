//! Temporary adapter.

use std::path::{Path, PathBuf};

use crate::{thumbnail, validate::{self, ValidationError}};

#[derive(Clone, Copy)]
pub struct ImageLimits { pub max_pixels: u64 }

pub struct DerivedImage {
    pub mime_type: String, pub width: u32, pub height: u32, pub thumbnail: Vec<u8>, pub clipboard: Vec<u8>, pub thumbhash: Vec<u8>,
    pub captured_at: Option<String>, pub camera: Option<String>, pub has_location: bool, pub without_location: Option<Vec<u8>>,
}
pub struct Poster { pub thumbnail: Vec<u8>, pub thumbhash: Vec<u8> }
pub struct DerivedVideo { pub mime_type: String, pub width: u32, pub height: u32, pub duration_ms: u64, pub codec: String, pub has_audio: bool, pub poster: Poster, pub has_location: bool }

#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error(transparent)]
    Invalid(#[from] ValidationError),
    #[error("{0:#}")]
    Internal(#[from] anyhow::Error),
}

#[derive(Clone, Copy)]
pub struct Features { pub ocr: bool }

pub struct Processes;

impl Processes {
    pub fn new(_cpus: usize, _models: Option<PathBuf>) -> Self { Self }
    pub fn features(&self) -> Features { Features { ocr: false } }
    pub async fn image(&self, file: &Path, limits: ImageLimits) -> Result<DerivedImage, ProcessError> {
        let file = file.to_owned();
        tokio::task::spawn_blocking(move || {
            let bytes = fs_err::read(&file).map_err(anyhow::Error::from)?;
            let header = validate::image_header(&bytes, None, limits.max_pixels)?;
            let done = thumbnail::create(&bytes, header, limits.max_pixels)?;
            Ok(DerivedImage { mime_type: header.kind.mime_type().into(), width: done.original_width, height: done.original_height, clipboard: done.webp.clone(), thumbnail: done.webp, thumbhash: vec![1], captured_at: None, camera: None, has_location: false, without_location: None })
        }).await.map_err(anyhow::Error::from)?
    }
    pub async fn video(&self, _: &Path) -> Result<DerivedVideo, ProcessError> { Err(ValidationError::CorruptImage.into()) }
    pub async fn ocr(&self, _: &Path) -> Result<String, ProcessError> { Ok(String::new()) }
}
