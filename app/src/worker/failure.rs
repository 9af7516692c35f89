//! Why an attempt of a job did not succeed, and so what becomes of the job.

use crate::{process::ProcessError, storage::StorageError, validate::ValidationError};

/// Why an attempt did not succeed.
pub(super) enum Failure {
    Rejected(ValidationError),
    Retry(anyhow::Error),
    /// The storage did not answer, or refused to. The attempt does not count if the storage is away for every call.
    Unavailable(anyhow::Error),
    /// The process that received the upload died before the original was stored, and its client has no answer.
    NoOriginal,
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Retry(error.into())
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Unavailable(_) => Self::Unavailable(error.into()),
            StorageError::Full | StorageError::Internal(_) => Self::Retry(error.into()),
        }
    }
}

impl From<ValidationError> for Failure {
    fn from(error: ValidationError) -> Self {
        Self::Rejected(error)
    }
}

impl From<ProcessError> for Failure {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Invalid(error) => Self::Rejected(error),
            ProcessError::Unavailable(feature) => Self::Rejected(ValidationError::UnsupportedType {
                found: format!("a file that takes {feature}, which is off here,"),
            }),
            other => Self::Retry(other.into()),
        }
    }
}
