//! The URL at which a browser gets an object. Everything that shows media asks here.

use std::time::Duration;

use time::OffsetDateTime;

use super::{Storage, StorageError, StorageKey};

/// How long the URL of [`Storage::url`] is valid that CloudFront is to accept.
const CDN_LIFE: Duration = Duration::from_secs(60 * 60);

/// A URL that works until a time.
#[derive(Clone, Debug)]
pub struct SignedUrl {
    pub url: String,
    pub expires_at: OffsetDateTime,
}

impl Storage {
    /// The URL of an object, for a browser. A local object's is relative to the service's origin. An object of a bucket has one
    /// below `S3_PUBLIC_URL`, or else a signed one, which is valid for at least half an hour: of the distribution at `CDN_URL`, or
    /// else of the store.
    ///
    /// Browsers keep what they got at a URL, so `version` must differ each time that the object is replaced. It may have
    /// characters that a URL shows as they are, such as hexadecimal digits.
    pub async fn url(&self, key: StorageKey, version: &str) -> Result<String, StorageError> {
        match self {
            Self::Local(_) => Ok(format!("/api/files/{key}?v={version}")),
            Self::S3(s3) => match (s3.public_url(), s3.cdn()) {
                (Some(base), _) => Ok(format!("{base}/{key}?v={version}")),
                (None, Some(cdn)) => Ok(cdn.signed_url(key, version, CDN_LIFE).await?.url),
                (None, None) => Box::pin(s3.presigned_url(key, version)).await,
            },
        }
    }

    /// The URL of an object, as [`Storage::url`], for a client that is to have it for at most `life`, and for at least half of that: a
    /// signed URL stays the same meanwhile. One that is not signed does not end.
    pub async fn signed_url(&self, key: StorageKey, version: &str, life: Duration) -> Result<SignedUrl, StorageError> {
        match self {
            Self::S3(s3) if s3.public_url().is_none() => match s3.cdn() {
                Some(cdn) => cdn.signed_url(key, version, life).await,
                None => Box::pin(s3.signed_url(key, life)).await,
            },
            _ => Ok(SignedUrl {
                url: self.url(key, version).await?,
                expires_at: OffsetDateTime::now_utc().truncate_to_second() + life,
            }),
        }
    }
}
