//! The URL at which a browser gets an object. Everything that shows media asks here.

use super::{Storage, StorageError, StorageKey};

impl Storage {
    /// The URL of an object, for a browser. A local object's is relative to the service's origin. An object of a bucket has one
    /// below `S3_PUBLIC_URL`, or else a presigned one, which is valid for at least half an hour.
    ///
    /// Browsers keep what they got at a URL, so `version` must differ each time that the object is replaced. It may have
    /// characters that a URL shows as they are, such as hexadecimal digits.
    pub async fn url(&self, key: StorageKey, version: &str) -> Result<String, StorageError> {
        match self {
            Self::Local(_) => Ok(format!("/api/files/{key}?v={version}")),
            Self::S3(s3) => match s3.public_url() {
                Some(base) => Ok(format!("{base}/{key}?v={version}")),
                None => s3.presigned_url(key, version).await,
            },
        }
    }
}
