//! From received bytes to a ready media and back: the one place that changes objects and rows together.
//!
//! Order: mark → file → checks → thumbnail → objects → row → mark away. Objects are served only where a ready row says so,
//! hence a process may die anywhere here and nothing half-done is ever visible; [`sweep`] removes what it leaves.

use std::{path::PathBuf, sync::Arc};

use sqlx::PgPool;
use tokio::sync::Semaphore;
use tracing::{error, info};
use uuid::Uuid;

use crate::{
    media::{self, MediaId, NewMedia},
    storage::{Staging, Storage, StorageKey},
    thumbnail::{self, Thumbnail},
    validate::{self, ImageKind, ValidationError},
};

/// Takes uploads in and removes media.
pub struct Intake {
    db: PgPool,
    storage: Arc<Storage>,
    max_pixels: u64,
    /// As many pictures are decoded at a time as there are processors: each takes one fully, and much memory.
    decoders: Semaphore,
}

/// A file that was received whole and lies in its temporary folder.
pub struct Received {
    /// Its id to be.
    pub id: MediaId,
    /// The mark and folder.
    pub incoming: Staging,
    /// The file.
    pub file: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: Vec<u8>,
    /// Its name, checked.
    pub name: String,
    /// Its description, checked.
    pub description: String,
    /// The content type that the client declared.
    pub declared_type: Option<String>,
    /// The account that uploads it.
    pub uploader: Uuid,
}

/// Why an upload did not become a media.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The client's fault; nothing of it is kept.
    #[error(transparent)]
    Refused(#[from] ValidationError),
    /// The service's fault.
    #[error("could not take the upload in: {0:#}")]
    Broken(#[from] anyhow::Error),
}

impl Intake {
    /// Takes in what is allowed up to this many pixels.
    pub fn new(db: PgPool, storage: Arc<Storage>, max_pixels: u64) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self { db, storage, max_pixels, decoders: Semaphore::new(processors) }
    }

    /// Checks a received file, makes its thumbnail, stores both and enters the row.
    ///
    /// # Errors
    /// [`Failure::Refused`] with nothing kept, or [`Failure::Broken`].
    pub async fn accept(self: Arc<Self>, received: Received) -> Result<MediaId, Failure> {
        let (kind, gallery) = self.examine(&received).await?;
        let thumbnail = received.incoming.file("thumbnail");
        fs_err::tokio::write(&thumbnail, &gallery.webp).await.map_err(anyhow::Error::from)?;
        // A client that hangs up drops its request's future; from here on that must not stop the work half way.
        tokio::spawn(async move { self.place(received, kind, gallery, thumbnail).await })
            .await
            .map_err(|panic| Failure::Broken(panic.into()))?
    }

    /// Removes a media with its objects; false when there is none of that id.
    ///
    /// # Errors
    /// When the database or the storage fails; what is then left is invisible and goes at the next start.
    pub async fn remove(self: Arc<Self>, id: MediaId) -> anyhow::Result<bool> {
        tokio::spawn(async move {
            if !media::exists(&self.db, id).await? {
                return Ok(false);
            }
            let mut incoming = self.storage.stage(id)?;
            incoming.persist();
            let removed = media::delete(&self.db, id).await?;
            self.storage.delete(id).await?;
            incoming.remove();
            Ok(removed)
        })
        .await?
    }

    /// Decodes the file on a blocking thread, within the limit on concurrency.
    async fn examine(&self, received: &Received) -> Result<(ImageKind, Thumbnail), Failure> {
        // The semaphore is never closed.
        let _permit = self.decoders.acquire().await.map_err(anyhow::Error::from)?;
        let (file, declared, max_pixels) = (received.file.clone(), received.declared_type.clone(), self.max_pixels);
        let examined = tokio::task::spawn_blocking(move || -> Result<_, Failure> {
            let bytes = fs_err::read(&file).map_err(anyhow::Error::from)?;
            let header = validate::image_header(&bytes, declared.as_deref(), max_pixels)?;
            Ok((header.kind, thumbnail::create(&bytes, header, max_pixels)?))
        });
        examined.await.map_err(|panic| Failure::Broken(panic.into()))?
    }

    async fn place(
        &self,
        received: Received,
        kind: ImageKind,
        gallery: Thumbnail,
        thumbnail: PathBuf,
    ) -> Result<MediaId, Failure> {
        let Received { id, mut incoming, file, size, sha256, name, description, declared_type, uploader } = received;
        let row = NewMedia {
            id,
            name,
            description,
            declared_type,
            mime_type: kind.mime_type(),
            size: i64::try_from(size).map_err(anyhow::Error::from)?,
            width: i32::try_from(gallery.original_width).map_err(anyhow::Error::from)?,
            height: i32::try_from(gallery.original_height).map_err(anyhow::Error::from)?,
            sha256,
            uploader,
        };
        incoming.persist();
        let placed: anyhow::Result<()> = async {
            self.storage.put(StorageKey::Thumbnail(id), &thumbnail).await?;
            self.storage.put(StorageKey::Original(id), &file).await?;
            media::insert_ready(&self.db, &row).await?;
            Ok(())
        }
        .await;
        if let Err(error) = placed {
            // The insert may have been committed although its answer was lost, so the row decides, not the error.
            match resolve(&self.db, &self.storage, id).await {
                Ok(_) => incoming.remove(),
                Err(error) => error!(%id, %error, "an unfinished upload stays until the next start"),
            }
            return Err(Failure::Broken(error));
        }
        incoming.remove();
        Ok(id)
    }
}

/// Brings rows and objects of changes that dead processes left unfinished back together.
///
/// # Errors
/// When the database or the storage fails.
pub async fn sweep(db: &PgPool, storage: &Storage) -> anyhow::Result<()> {
    for abandoned in storage.orphaned_staging()? {
        let (mut kept, mut removed) = (0, 0);
        for id in &abandoned.media {
            if resolve(db, storage, *id).await? { kept += 1 } else { removed += 1 }
        }
        abandoned.remove()?;
        if kept + removed > 0 {
            info!(kept, removed, "finished what a stopped process left unfinished");
        }
    }
    Ok(())
}

/// Removes a media's objects unless its row exists; true when they stay.
async fn resolve(db: &PgPool, storage: &Storage, id: MediaId) -> anyhow::Result<bool> {
    let stays = media::exists(db, id).await?;
    if !stays {
        storage.delete(id).await?;
    }
    Ok(stays)
}
