//! Errors of S3 calls. The codes are those of Amazon's "Error responses" (S3 API reference, 2006-03-01), which other stores
//! have adopted; MinIO and Ceph have their own for a full disk.

use anyhow::anyhow;
use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
};

use crate::storage::StorageError;

const FULL: [&str; 3] = ["QuotaExceeded", "XMinioStorageFull", "InsufficientStorage"];

/// Codes of transient errors that some stores send with a status below 500.
const BUSY: [&str; 4] = ["OperationAborted", "RequestTimeout", "SlowDown", "TooManyRequests"];

/// What the storage's callers are told of an error of the SDK. `what` is the call: `read uploads/…`.
pub(super) fn failed<E>(what: &str, error: SdkError<E, HttpResponse>) -> StorageError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let (status, code) =
        (error.raw_response().map(|answer| answer.status().as_u16()), error.code().unwrap_or_default());
    let said = anyhow!("{}", DisplayErrorContext(&error)).context(format!("{what} in the bucket"));
    match (&error, status) {
        (_, Some(507)) => StorageError::Full,
        (_, Some(_)) if FULL.contains(&code) => StorageError::Full,
        // An operator can correct credentials, permissions and the bucket's name; what waits for that is not lost.
        (_, Some(401 | 403)) => StorageError::Unavailable(said.context("the store refuses the credentials")),
        // The answer to a HEAD request has no code.
        (_, Some(404)) if matches!(code, "" | "NotFound" | "NoSuchBucket") => {
            StorageError::Unavailable(said.context("the bucket does not exist"))
        }
        (_, Some(301 | 307)) => StorageError::Unavailable(said.context("the bucket is in another region")),
        (_, Some(429 | 500..=599)) => StorageError::Unavailable(said),
        (_, Some(_)) if BUSY.contains(&code) => StorageError::Unavailable(said),
        (SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) | SdkError::ResponseError(_), _) => {
            StorageError::Unavailable(said)
        }
        _ => StorageError::Internal(said),
    }
}
