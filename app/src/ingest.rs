//! Adds a received file: row and job → original into the store → the job's work. From the row on, everything goes on when the
//! client leaves, and what this process does not finish, a worker does.

use std::sync::Arc;

use sqlx::PgPool;
use tempfile::TempPath;
use uuid::Uuid;

use crate::{
    content,
    jobs::Job,
    media::{
        MediaId,
        lifecycle::{self, Inserted, NewMedia},
    },
    storage::{Storage, StorageError, StorageKey},
    validate::ValidationError,
    worker::{OnReject, Outcome, Worker},
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
        // Spawned, because axum drops the request's future when the client disconnects, and this must run to its end.
        let (ingest, path) = (self.clone(), upload.file.path);
        tokio::spawn(async move { ingest.store_and_work(job, path, content.mime_type).await })
            .await
            .map_err(|panic| IngestError::Internal(panic.into()))?
    }

    async fn store_and_work(&self, job: Job, path: TempPath, mime_type: &str) -> Result<Added, IngestError> {
        if let Err(error) = self.storage.put_file(StorageKey::Original(job.media), &path, mime_type).await {
            // If this fails, too, a worker finds the row without an original when the claim ends.
            self.worker.delete(job.media).await?;
            return Err(error.into());
        }
        match self.worker.work(job, OnReject::Discard).await {
            Outcome::Rejected(error) => Err(error.into()),
            Outcome::Done | Outcome::Retry | Outcome::Lost => Ok(Added::New(job.media)),
        }
    }
}
