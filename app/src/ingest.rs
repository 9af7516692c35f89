//! Adds and deletes media. Only this module changes stored files and database rows together.
//!
//! Adding: receive → validate → thumbnail → store → insert row. A file is served only if its row is ready, so a process can
//! crash at any step without exposing a partial upload. `app storage check` finds what such a process left behind.

use std::sync::Arc;

use sqlx::PgPool;
use tempfile::{NamedTempFile, TempPath};
use tokio::sync::Semaphore;
use tracing::error;
use uuid::Uuid;

use crate::{
    file_infos::FileInfos,
    media::{self, MediaId, NewMedia},
    storage::{Storage, StorageError, StorageKey},
    thumbnail::{self, Thumbnail},
    validate::{self, ImageKind, ValidationError},
};

/// Adds and deletes media.
pub struct Ingest {
    db: PgPool,
    storage: Arc<Storage>,
    files: Arc<FileInfos>,
    max_pixels: u64,
    /// Decoding an image keeps one CPU busy and needs up to hundreds of MiB of memory.
    decoders: Semaphore,
}

/// A completely received file in the spool.
pub struct ReceivedFile {
    pub id: MediaId,
    pub path: TempPath,
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
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("adding the media failed: {0:#}")]
    Internal(#[from] anyhow::Error),
}

impl Ingest {
    /// `max_pixels` limits the size of an image, `max_decoders` how many images are decoded in parallel.
    pub fn new(db: PgPool, storage: Arc<Storage>, files: Arc<FileInfos>, max_pixels: u64, max_decoders: usize) -> Self {
        Self { db, storage, files, max_pixels, decoders: Semaphore::new(max_decoders) }
    }

    /// Creates a file for a new upload.
    pub async fn spool_file(&self) -> Result<NamedTempFile, StorageError> {
        self.storage.spool_file().await
    }

    /// Validates the image, creates its thumbnail, stores both and inserts the row.
    pub async fn add(self: Arc<Self>, upload: Upload) -> Result<MediaId, IngestError> {
        let (kind, thumbnail) = self.process(&upload.file).await?;
        // Spawned, because axum drops the request's future when the client disconnects, and this must run to its end.
        tokio::spawn(async move { self.store(upload, kind, thumbnail).await })
            .await
            .map_err(|panic| IngestError::Internal(panic.into()))?
    }

    /// Deletes a media and its files. Returns false if there is no media with this id. If the storage fails, the remaining
    /// files are not served.
    pub async fn delete(self: Arc<Self>, id: MediaId) -> anyhow::Result<bool> {
        tokio::spawn(async move {
            let deleted = media::delete(&self.db, id).await?;
            if deleted {
                self.files.forget(id);
                self.storage.delete(&StorageKey::all(id)).await?;
            }
            Ok(deleted)
        })
        .await?
    }

    /// Validates and decodes the file on a blocking thread.
    async fn process(&self, file: &ReceivedFile) -> Result<(ImageKind, Thumbnail), IngestError> {
        // The semaphore is never closed.
        let _permit = self.decoders.acquire().await.map_err(anyhow::Error::from)?;
        let (path, declared, max_pixels) = (file.path.to_path_buf(), file.declared_type.clone(), self.max_pixels);
        let processed = tokio::task::spawn_blocking(move || -> Result<_, IngestError> {
            let bytes = fs_err::read(&*path).map_err(StorageError::from)?;
            let header = validate::image_header(&bytes, declared.as_deref(), max_pixels)?;
            Ok((header.kind, thumbnail::create(&bytes, header, max_pixels)?))
        });
        processed.await.map_err(|panic| IngestError::Internal(panic.into()))?
    }

    async fn store(&self, upload: Upload, kind: ImageKind, thumbnail: Thumbnail) -> Result<MediaId, IngestError> {
        let Upload { file, name, description, uploader } = upload;
        let ReceivedFile { id, path, size, sha256, declared_type } = file;
        let row = NewMedia {
            id,
            name,
            description,
            declared_type,
            mime_type: kind.mime_type(),
            size: i64::try_from(size).map_err(anyhow::Error::from)?,
            width: i32::try_from(thumbnail.original_width).map_err(anyhow::Error::from)?,
            height: i32::try_from(thumbnail.original_height).map_err(anyhow::Error::from)?,
            sha256,
            uploader,
        };
        let stored: Result<(), IngestError> = async {
            self.storage.put_bytes(StorageKey::Thumbnail(id), thumbnail.webp.into(), "image/webp").await?;
            self.storage.put_file(StorageKey::Original(id), &path, row.mime_type).await?;
            media::insert_ready(&self.db, &row).await.map_err(anyhow::Error::from)?;
            Ok(())
        }
        .await;
        if let Err(error) = stored {
            // The insert may have been committed even if its response was lost, so look at the row.
            if let Err(error) = self.delete_files_without_row(id).await {
                error!(%id, %error, "cannot clean up a failed upload; `app storage check --repair` does");
            }
            return Err(error);
        }
        Ok(id)
    }

    async fn delete_files_without_row(&self, id: MediaId) -> anyhow::Result<()> {
        if !media::exists(&self.db, id).await? {
            self.storage.delete(&StorageKey::all(id)).await?;
        }
        Ok(())
    }
}
