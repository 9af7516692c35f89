//! Adds and deletes media. Only this module changes stored files and database rows together.
//!
//! Adding: stage → receive → validate → thumbnail → move files to storage → insert row → unstage. A file is served only if
//! its row is ready, so a process can crash at any step without exposing a partial upload. [`recover`] removes the rest.

use std::{path::PathBuf, sync::Arc};

use sqlx::PgPool;
use tokio::{io::AsyncWriteExt as _, sync::Semaphore};
use tracing::{error, info};
use uuid::Uuid;

use crate::{
    media::{self, MediaId, NewMedia},
    process::image::{DeriveError, DerivedImage, ImageLimits, derive},
    storage::{Staging, Storage, StorageKey},
    validate::ValidationError,
};

/// Adds and deletes media.
pub struct Ingest {
    db: PgPool,
    storage: Arc<Storage>,
    max_pixels: u64,
    /// Decoding an image keeps one CPU busy and needs up to hundreds of MiB of memory.
    decoders: Semaphore,
}

/// A completely received file in its staging folder.
pub struct ReceivedFile {
    pub id: MediaId,
    pub staging: Staging,
    pub path: PathBuf,
    /// In bytes.
    pub size: u64,
    pub sha256: Vec<u8>,
    /// The content type that the client declared.
    pub declared_type: Option<String>,
}

/// A received file with its validated name and description.
pub struct Upload {
    pub file: ReceivedFile,
    pub name: String,
    pub description: String,
    /// Account id.
    pub uploader: Uuid,
}

#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// A client error. Nothing of the upload is kept.
    #[error(transparent)]
    Invalid(#[from] ValidationError),
    #[error("adding the media failed: {0:#}")]
    Internal(#[from] anyhow::Error),
}

impl Ingest {
    /// `max_pixels` limits the size of an image, `max_decoders` how many images are decoded in parallel.
    pub fn new(db: PgPool, storage: Arc<Storage>, max_pixels: u64, max_decoders: usize) -> Self {
        Self { db, storage, max_pixels, decoders: Semaphore::new(max_decoders) }
    }

    /// Creates the staging folder for a new upload.
    pub fn stage(&self, id: MediaId) -> std::io::Result<Staging> {
        self.storage.stage(id)
    }

    /// Validates the image, creates its thumbnail, stores both and inserts the row.
    pub async fn add(self: Arc<Self>, upload: Upload) -> Result<MediaId, IngestError> {
        let derived = self.process(&upload.file).await?;
        let thumbnail_path = upload.file.staging.file("thumbnail");
        let mut file = upload.file.staging.create("thumbnail").await.map_err(anyhow::Error::from)?;
        file.write_all(&derived.thumbnail).await.map_err(anyhow::Error::from)?;
        file.flush().await.map_err(anyhow::Error::from)?;
        // Spawned, because axum drops the request's future when the client disconnects, and this must run to its end.
        tokio::spawn(async move { self.store(upload, derived, thumbnail_path).await })
            .await
            .map_err(|panic| IngestError::Internal(panic.into()))?
    }

    /// Deletes a media and its files. Returns false if there is no media with this id. If the storage fails, the remaining
    /// files are not served, and [`recover`] deletes them at the next start.
    pub async fn delete(self: Arc<Self>, id: MediaId) -> anyhow::Result<bool> {
        tokio::spawn(async move {
            if !media::exists(&self.db, id).await? {
                return Ok(false);
            }
            let mut staging = self.storage.stage(id)?;
            staging.persist();
            let deleted = media::delete(&self.db, id).await?;
            self.storage.delete(id).await?;
            staging.remove();
            Ok(deleted)
        })
        .await?
    }

    /// Validates and decodes the file on a blocking thread.
    async fn process(&self, file: &ReceivedFile) -> Result<DerivedImage, IngestError> {
        // The semaphore is never closed.
        let _permit = self.decoders.acquire().await.map_err(anyhow::Error::from)?;
        let (path, limits) = (file.path.clone(), ImageLimits { max_pixels: self.max_pixels });
        let processed = tokio::task::spawn_blocking(move || -> Result<_, IngestError> {
            let bytes = fs_err::read(&path).map_err(anyhow::Error::from)?;
            derive(&bytes, limits).map_err(|error| match error {
                DeriveError::Invalid(error) => error.into(),
                DeriveError::Internal(error) => IngestError::Internal(error.into()),
            })
        });
        processed.await.map_err(|panic| IngestError::Internal(panic.into()))?
    }

    async fn store(
        &self,
        upload: Upload,
        derived: DerivedImage,
        thumbnail_path: PathBuf,
    ) -> Result<MediaId, IngestError> {
        let Upload { file, name, description, uploader } = upload;
        let ReceivedFile { id, mut staging, path, size, sha256, declared_type } = file;
        let row = NewMedia {
            id,
            name,
            description,
            declared_type,
            mime_type: derived.mime_type,
            size: i64::try_from(size).map_err(anyhow::Error::from)?,
            width: i32::try_from(derived.width).map_err(anyhow::Error::from)?,
            height: i32::try_from(derived.height).map_err(anyhow::Error::from)?,
            sha256,
            uploader,
        };
        staging.persist();
        let stored: anyhow::Result<()> = async {
            self.storage.put(StorageKey::Thumbnail(id), &thumbnail_path).await?;
            self.storage.put(StorageKey::Original(id), &path).await?;
            media::insert_ready(&self.db, &row).await?;
            Ok(())
        }
        .await;
        if let Err(error) = stored {
            // The insert may have been committed even if its response was lost, so look at the row.
            match delete_files_without_row(&self.db, &self.storage, id).await {
                Ok(_) => staging.remove(),
                Err(error) => error!(%id, %error, "cannot clean up a failed upload; the next start retries"),
            }
            return Err(IngestError::Internal(error));
        }
        staging.remove();
        Ok(id)
    }
}

/// Makes files consistent with rows again, for the changes that crashed processes left unfinished.
pub async fn recover(db: &PgPool, storage: &Storage) -> anyhow::Result<()> {
    for orphaned in storage.orphaned_staging()? {
        let (mut kept, mut deleted) = (0, 0);
        for id in &orphaned.media {
            if delete_files_without_row(db, storage, *id).await? { deleted += 1 } else { kept += 1 }
        }
        orphaned.remove()?;
        if kept + deleted > 0 {
            info!(kept, deleted, "recovered unfinished changes of a stopped process");
        }
    }
    Ok(())
}

/// Deletes the files of a media that has no row. Returns whether it did.
async fn delete_files_without_row(db: &PgPool, storage: &Storage, id: MediaId) -> anyhow::Result<bool> {
    let orphaned = !media::exists(db, id).await?;
    if orphaned {
        storage.delete(id).await?;
    }
    Ok(orphaned)
}
