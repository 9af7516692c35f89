//! Objects that clients put into the store themselves. They are read only to be validated, and each read is of the one object that
//! was looked at first: a client can replace it as long as its URL is valid.

use std::{io, path::Path, time::Duration};

use fs_err as fs;
use ring::digest::{Context, SHA256};
use tempfile::TempPath;
use time::OffsetDateTime;

use super::{Storage, StorageError, StorageKey, observe, spool};
use crate::media::MediaId;

/// What a presigned URL lets a client do: put one object.
#[derive(Clone, Debug)]
pub struct UploadUrl<'a> {
    pub id: MediaId,
    /// The request must have it.
    pub content_type: &'a str,
    /// The request must have this size, in bytes, if there is one.
    pub length: Option<i64>,
    /// When the URL begins to be valid.
    pub begins_at: OffsetDateTime,
    pub life: Duration,
}

/// An object as a client has put it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// In bytes.
    pub size: u64,
    /// With its quotes; `None` of a local object.
    pub etag: Option<String>,
}

impl Storage {
    /// A URL at which a client puts an object into the store. `None` if the service itself takes it: there is no other server.
    pub async fn upload_url(&self, upload: &UploadUrl<'_>) -> Result<Option<String>, StorageError> {
        match self {
            Self::Local(_) => Ok(None),
            Self::S3(s3) => s3.upload_url(upload).await.map(Some),
        }
    }

    /// What a client has put; `None` if there is nothing.
    pub async fn uploaded(&self, id: MediaId) -> Result<Option<Uploaded>, StorageError> {
        let call = Box::pin(async {
            match self {
                Self::Local(local) => {
                    let found = local.head(StorageKey::Original(id)).await?;
                    Ok(found.map(|object| Uploaded { size: object.size, etag: None }))
                }
                Self::S3(s3) => s3.uploaded(id).await,
            }
        });
        observe("head", call).await
    }

    /// The first bytes of what a client has put, at most `limit`; `None` if it is gone or was replaced.
    pub async fn uploaded_head(
        &self,
        id: MediaId,
        uploaded: &Uploaded,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        let call = Box::pin(async {
            match self {
                Self::Local(local) => {
                    let path = local.path(StorageKey::Original(id));
                    local_file(move || read_head(&path, limit)).await
                }
                Self::S3(s3) => s3.uploaded_head(id, uploaded, limit).await,
            }
        });
        observe("open", call).await
    }

    /// A copy of what a client has put, in the spool, which the client cannot change; `None` if it is gone or was replaced. A local
    /// object that was replaced may have another size.
    pub async fn take_uploaded(&self, id: MediaId, uploaded: &Uploaded) -> Result<Option<TempPath>, StorageError> {
        let call = Box::pin(async {
            match self {
                Self::Local(local) => {
                    let (path, spool) = (local.path(StorageKey::Original(id)), local.spool().to_owned());
                    local_file(move || copy(&path, &spool)).await
                }
                Self::S3(s3) => s3.take_uploaded(id, uploaded).await,
            }
        });
        observe("open", call).await
    }
}

/// Size, in bytes, and SHA-256 of a file.
pub async fn measure(file: &Path) -> Result<(u64, Vec<u8>), StorageError> {
    let path = file.to_owned();
    let measured = tokio::task::spawn_blocking(move || {
        let mut hash = Hashing(Context::new(&SHA256));
        let size = io::copy(&mut fs::File::open(path)?, &mut hash)?;
        io::Result::Ok((size, hash.0.finish().as_ref().to_vec()))
    });
    Ok(measured.await.map_err(|panic| StorageError::Internal(panic.into()))??)
}

/// `None` if the file is not there.
async fn local_file<T: Send + 'static>(
    read: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<Option<T>, StorageError> {
    match tokio::task::spawn_blocking(read).await.map_err(|panic| StorageError::Internal(panic.into()))? {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => Ok(Some(read?)),
    }
}

fn read_head(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(fs::File::open(path)?, limit), &mut head)?;
    Ok(head)
}

fn copy(path: &Path, spool: &Path) -> io::Result<TempPath> {
    // A file that replaces this one is another one with its name.
    let mut original = fs::File::open(path)?;
    let mut copy = spool::create_file(spool)?;
    io::copy(&mut original, &mut copy)?;
    Ok(copy.into_temp_path())
}

struct Hashing(Context);

impl io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
