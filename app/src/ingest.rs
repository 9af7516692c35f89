//! Adds a received file: row and job → original into the store → the job's work. Everything goes on when the client
//! leaves, and what this process does not finish once there is a row, a worker does. A file that replaces another has no row of its own: if this
//! process dies, it is removed.

use std::sync::Arc;

use sqlx::PgPool;
use tempfile::TempPath;
use tracing::{Instrument, Span, warn};
use uuid::Uuid;

use crate::{
    content,
    media::{
        MediaId,
        lifecycle::{self, Inserted, NewMedia},
        replacement::{self, NewFile, Received, Replaced},
    },
    metrics::metrics,
    storage::{Storage, StorageError, StorageKey},
    validate::ValidationError,
    worker::{DeriveError, OnReject, Outcome, Worker},
};

/// Adds received files.
pub struct Ingest {
    db: PgPool,
    storage: Arc<Storage>,
    worker: Arc<Worker>,
}

/// A completely received file in the spool. Dropping it deletes the file, unless it is in the store by then.
pub struct ReceivedFile {
    pub path: TempPath,
    /// In bytes.
    pub size: u64,
    pub sha256: Vec<u8>,
}

/// A received file with its validated name and description.
pub struct Upload {
    pub file: ReceivedFile,
    pub name: String,
    pub description: String,
    /// Account id.
    pub uploader: Uuid,
    /// The client's own id of this upload; see [`NewMedia::idempotency_key`].
    pub idempotency_key: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// Ready, or pending if the first attempt failed and a worker tries again.
    New(MediaId),
    /// The gallery has these bytes already: nothing was added.
    Duplicate(MediaId),
    /// An earlier upload with the same key and the same bytes has added it.
    Repeated(MediaId),
}

#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// A client error. Nothing of the upload is kept.
    #[error(transparent)]
    Invalid(#[from] ValidationError),
    #[error("the Idempotency-Key was used for another file")]
    KeyReused,
    /// The process that decoded it crashed, or reached a limit. Nothing of it is kept.
    #[error("the file cannot be processed")]
    ProcessingFailed,
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("adding the media failed: {0:#}")]
    Internal(#[from] anyhow::Error),
}

impl Ingest {
    pub fn new(db: PgPool, storage: Arc<Storage>, worker: Arc<Worker>) -> Self {
        Self { db, storage, worker }
    }

    /// Adds a file and waits for the outcome of its first attempt. A rejected one leaves nothing.
    pub async fn add(self: &Arc<Self>, upload: Upload) -> Result<Added, IngestError> {
        let ingest = self.clone();
        let adding = async move {
            let added = ingest.add_received(upload).await;
            metrics().upload(match &added {
                Ok(Added::New(_)) => "added",
                Ok(Added::Duplicate(_)) => "duplicate",
                Ok(Added::Repeated(_)) => "repeated",
                Err(error) => error.kind(),
            });
            added
        };
        // Spawned, because axum drops the request's future when the client disconnects, and this must run to its end.
        tokio::spawn(adding.instrument(Span::current())).await.map_err(|panic| IngestError::Internal(panic.into()))?
    }

    async fn add_received(&self, upload: Upload) -> Result<Added, IngestError> {
        // A look at the first bytes spares a text file its row.
        let content = content::detect(&content::head(&upload.file.path).await.map_err(StorageError::from)?)?;
        let new = NewMedia {
            id: MediaId::generate(),
            name: upload.name,
            description: upload.description,
            size: i64::try_from(upload.file.size).map_err(anyhow::Error::from)?,
            sha256: upload.file.sha256,
            uploader: upload.uploader,
            idempotency_key: upload.idempotency_key,
        };
        let inserted = lifecycle::insert_pending(&self.db, &new).await.map_err(anyhow::Error::from)?;
        let job = match inserted {
            Inserted::New(job) => job,
            Inserted::Duplicate(id) => return Ok(Added::Duplicate(id)),
            Inserted::Repeated(id) => return Ok(Added::Repeated(id)),
            Inserted::KeyReused => return Err(IngestError::KeyReused),
        };
        let (key, path) = (StorageKey::Original(job.media), upload.file.path);
        if let Err(error) = self.storage.put_file(key, &path, content.mime_type).await {
            // If this fails, too, a worker finds the row without an original when the claim ends.
            self.worker.delete(job.media).await?;
            return Err(error.into());
        }
        match self.worker.work(job, OnReject::Discard).await {
            Outcome::Rejected(error) => Err(error.into()),
            Outcome::Done | Outcome::Retry | Outcome::Lost => Ok(Added::New(job.media)),
        }
    }

    /// Gives a media another file and waits until that is done. A file that is rejected leaves nothing.
    pub async fn replace(
        self: &Arc<Self>,
        id: MediaId,
        version: Option<i32>,
        file: ReceivedFile,
    ) -> Result<Replaced, IngestError> {
        let ingest = self.clone();
        let replacing = async move {
            let replaced = ingest.replace_with_received(id, version, file).await;
            metrics().upload(match &replaced {
                Ok(Replaced::Done(_)) => "replaced",
                Ok(Replaced::Same | Replaced::Duplicate(_)) => "duplicate",
                Ok(Replaced::Pending | Replaced::OtherVersion | Replaced::NotFound) => "rejected",
                Err(error) => error.kind(),
            });
            replaced
        };
        // Spawned, as in `add`.
        tokio::spawn(replacing.instrument(Span::current()))
            .await
            .map_err(|panic| IngestError::Internal(panic.into()))?
    }

    async fn replace_with_received(
        &self,
        id: MediaId,
        version: Option<i32>,
        file: ReceivedFile,
    ) -> Result<Replaced, IngestError> {
        let content = content::detect(&content::head(&file.path).await.map_err(StorageError::from)?)?;
        // Spares the same bytes the work; what counts is what `replacement::replace` finds.
        let same = replacement::find_same(&self.db, id, &file.sha256).await.map_err(anyhow::Error::from)?;
        if let Some(same) = same {
            return Ok(same);
        }
        let new = replacement::reserve(&self.db).await.map_err(anyhow::Error::from)?;
        let replaced = self.store_and_replace(id, version, &new, file, content.mime_type).await;
        match &replaced {
            Ok(Replaced::Done(old)) => self.worker.remove(old).await,
            _ => match replacement::abandon(&self.db, &new).await {
                Ok(abandoned) => self.worker.remove(&abandoned).await,
                Err(error) => {
                    warn!(file = %new.file, %error, "the objects of a file stay until they are due for removal");
                }
            },
        }
        replaced
    }

    async fn store_and_replace(
        &self,
        id: MediaId,
        version: Option<i32>,
        new: &NewFile,
        file: ReceivedFile,
        mime_type: &str,
    ) -> Result<Replaced, IngestError> {
        let received = Received { size: i64::try_from(file.size).map_err(anyhow::Error::from)?, sha256: file.sha256 };
        self.storage.put_file(StorageKey::Original(new.file), &file.path, mime_type).await?;
        let content = self.worker.derive_new(new).await?;
        let recognise = self.worker.recognises(&content);
        let replaced = replacement::replace(&self.db, id, version, new, &received, &content, recognise).await?;
        if recognise {
            self.worker.wake();
        }
        Ok(replaced)
    }
}

impl IngestError {
    /// Whose fault it is, as in the metrics.
    fn kind(&self) -> &'static str {
        match self {
            Self::Invalid(_) | Self::KeyReused | Self::ProcessingFailed => "rejected",
            Self::Storage(_) | Self::Internal(_) => "failed",
        }
    }
}

impl From<DeriveError> for IngestError {
    fn from(error: DeriveError) -> Self {
        match error {
            DeriveError::Rejected(error) => Self::Invalid(error),
            DeriveError::ProcessingFailed => Self::ProcessingFailed,
            DeriveError::Failed(error) => Self::Internal(error),
        }
    }
}
