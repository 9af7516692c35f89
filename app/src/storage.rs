//! Stores originals and what is derived from them: in a local folder, or in a bucket of an S3-compatible store.

mod cdn;
mod check;
mod command;
mod delivery;
mod error;
mod key;
mod local;
mod migrate;
pub mod orphans;
mod parts;
mod rows;
mod s3;
mod spool;
#[cfg(test)]
mod tests;
mod uploads;

use std::{
    future::Future,
    ops::Deref,
    path::{Path, PathBuf},
    time::{Instant, SystemTime},
};

use anyhow::Context as _;
use bytes::Bytes;
use tempfile::{NamedTempFile, TempPath};
use tracing::{Instrument, field::Empty, info_span};

pub use self::{
    command::StorageCommand,
    delivery::SignedUrl,
    error::StorageError,
    key::{Prefix, StorageKey},
    local::LocalStorage,
    parts::{MAX_PARTS, Part, PartUrl, part_size},
    s3::S3Storage,
    spool::{ABANDONED, RESUMABLE},
    uploads::{UploadUrl, measure},
};
use crate::{metrics::metrics, settings::StorageSettings, traces::TARGET};

/// A storage backend.
pub enum Storage {
    Local(LocalStorage),
    S3(S3Storage),
}

/// What a backend says of an object without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// In bytes.
    pub size: u64,
    /// If the backend keeps it beside the object.
    pub sha256: Option<[u8; 32]>,
}

/// An object in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Not a [`StorageKey`]: others may have put objects there.
    pub key: String,
    /// In bytes.
    pub size: u64,
    pub modified: SystemTime,
}

/// A page of a list, in the byte order of the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub objects: Vec<Listed>,
    /// What the next page comes after; `None` on the last page.
    pub next: Option<String>,
}

/// An object as a file of this machine. Do not write to it: it may be the stored one.
pub struct LocalFile {
    path: PathBuf,
    /// Deleted on drop.
    _downloaded: Option<TempPath>,
}

impl Storage {
    /// Opens the configured backend, and creates its folders on this machine. Sends no request.
    ///
    /// # Errors
    /// If a folder cannot be created.
    pub async fn open(settings: &StorageSettings) -> anyhow::Result<Self> {
        match settings.clone() {
            StorageSettings::Local { upload_dir } => {
                let opened = tokio::task::spawn_blocking(move || LocalStorage::open(&upload_dir)).await?;
                opened.map(Self::Local).context("UPLOAD_DIR cannot be used")
            }
            StorageSettings::S3(settings) => {
                S3Storage::open(&settings).map(Self::S3).context("SPOOL_DIR cannot be used")
            }
        }
    }

    /// The folder for files that are being received.
    pub fn spool(&self) -> &Path {
        match self {
            Self::Local(local) => local.spool(),
            Self::S3(s3) => s3.spool(),
        }
    }

    /// Creates a file in the spool that only this user can read. It is deleted on drop, unless it was moved away.
    pub async fn spool_file(&self) -> Result<NamedTempFile, StorageError> {
        let spool = self.spool().to_owned();
        let created = tokio::task::spawn_blocking(move || spool::create_file(&spool)).await;
        Ok(created.map_err(|panic| StorageError::Internal(panic.into()))??)
    }

    /// Deletes what was left in the spool by processes that were killed. Returns how many files.
    pub async fn sweep_spool(&self) -> Result<usize, StorageError> {
        let spool = self.spool().to_owned();
        let swept = tokio::task::spawn_blocking(move || spool::sweep(&spool, ABANDONED)).await;
        Ok(swept.map_err(|panic| StorageError::Internal(panic.into()))??)
    }

    /// Stores a file of the spool and replaces what is stored under this key. The file may be gone afterwards.
    pub async fn put_file(&self, key: StorageKey, file: &Path, content_type: &str) -> Result<(), StorageError> {
        let call = Box::pin(async {
            match self {
                Self::Local(local) => local.put_file(key, file).await,
                Self::S3(s3) => s3.put_file(key, file, content_type).await,
            }
        });
        observe("put_file", call).await
    }

    /// Stores these bytes and replaces what is stored under this key.
    pub async fn put_bytes(&self, key: StorageKey, bytes: Bytes, content_type: &str) -> Result<(), StorageError> {
        let call = Box::pin(async {
            match self {
                Self::Local(local) => local.put_bytes(key, bytes).await,
                Self::S3(s3) => s3.put_bytes(key, bytes, content_type).await,
            }
        });
        observe("put_bytes", call).await
    }

    /// The object as a file of this machine; downloaded if it is not one. `None` if there is no such object.
    pub async fn open_local(&self, key: StorageKey) -> Result<Option<LocalFile>, StorageError> {
        let call = Box::pin(async {
            match self {
                Self::Local(local) => {
                    let found = local.head(key).await?;
                    Ok(found.map(|_| LocalFile { path: local.path(key), _downloaded: None }))
                }
                Self::S3(s3) => {
                    let downloaded = s3.download(key, None).await?;
                    Ok(downloaded.map(|file| LocalFile { path: file.to_path_buf(), _downloaded: Some(file) }))
                }
            }
        });
        observe("open", call).await
    }

    /// The first of these objects that there is, as [`Storage::open_local`].
    pub async fn open_first(&self, keys: impl Iterator<Item = StorageKey>) -> Result<Option<LocalFile>, StorageError> {
        for key in keys {
            if let Some(file) = self.open_local(key).await? {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    /// `None` if there is no such object.
    pub async fn head(&self, key: StorageKey) -> Result<Option<Object>, StorageError> {
        let call = Box::pin(async {
            match self {
                Self::Local(local) => local.head(key).await,
                Self::S3(s3) => s3.head(key).await,
            }
        });
        observe("head", call).await
    }

    /// Deletes these objects. Missing ones are no error. Takes no disk space.
    pub async fn delete(&self, keys: &[StorageKey]) -> Result<(), StorageError> {
        let call = Box::pin(async {
            match self {
                Self::Local(local) => local.delete(keys).await,
                Self::S3(s3) => s3.delete(keys).await,
            }
        });
        observe("delete", call).await
    }

    /// A page of the objects whose keys begin with this prefix and come after `after`.
    pub async fn list(&self, prefix: Prefix, after: Option<String>) -> Result<Page, StorageError> {
        let call = Box::pin(async {
            match self {
                Self::Local(local) => local.list(prefix, after).await,
                Self::S3(s3) => s3.list(prefix, after).await,
            }
        });
        observe("list", call).await
    }

    /// Checks that objects can be stored, without writing: the folders are writable and have space, the bucket answers to the
    /// credentials.
    pub async fn check(&self) -> Result<(), StorageError> {
        let call = Box::pin(async {
            match self {
                Self::Local(local) => local.check().await,
                Self::S3(s3) => s3.check().await,
            }
        });
        observe("check", call).await
    }
}

/// Counts and traces a call. Calls are boxed: the S3 client's futures are large, and would be part of every caller's.
async fn observe<T>(
    operation: &'static str,
    call: impl Future<Output = Result<T, StorageError>>,
) -> Result<T, StorageError> {
    let began = Instant::now();
    let span = info_span!(
        target: TARGET,
        "storage",
        otel.name = format!("storage {operation}"),
        otel.kind = "client",
        otel.error = Empty,
        storage.operation = operation,
    );
    let done = call.instrument(span.clone()).await;
    let outcome = match &done {
        Ok(_) => "ok",
        Err(StorageError::Full) => "full",
        Err(StorageError::Unavailable(_)) => "unavailable",
        Err(StorageError::Internal(_)) => "failed",
    };
    if done.is_err() {
        // The error itself is in the log: it may have an address or a path.
        span.record("otel.error", outcome);
    }
    metrics().storage_call(operation, outcome, began.elapsed());
    done
}

impl Deref for LocalFile {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}
