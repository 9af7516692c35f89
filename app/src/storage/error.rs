//! Why a call of the storage failed, in the kinds that callers handle differently.

use std::io;

#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// No space is left, on the disk or in the quota.
    #[error("the disk is full")]
    Full,
    /// The storage does not answer, is overloaded, or refuses the credentials. The same call may succeed later.
    #[error("the storage is unavailable: {0:#}")]
    Unavailable(anyhow::Error),
    #[error("the storage failed: {0:#}")]
    Internal(anyhow::Error),
}

impl From<io::Error> for StorageError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Internal(error.into()),
        }
    }
}
