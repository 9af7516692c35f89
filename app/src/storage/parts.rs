//! Large objects that clients put into a bucket in parts. A local folder has none of them.

use std::time::Duration;

use time::OffsetDateTime;

use super::{Storage, StorageError, observe};
use crate::media::MediaId;

/// The least size of a part but the last, in bytes. Stores demand at least 5 MiB.
const LEAST: u64 = 8 << 20;

/// The most parts that an upload may have.
pub const MAX_PARTS: u64 = 10_000;

/// What the URL of a part lets a client do.
#[derive(Clone, Debug)]
pub struct PartUrl<'a> {
    pub id: MediaId,
    /// As the store calls the upload.
    pub upload: &'a str,
    /// The first part is 1.
    pub number: i32,
    /// In bytes. The request must have this size.
    pub length: i64,
    /// When the URL begins to be valid.
    pub begins_at: OffsetDateTime,
    pub life: Duration,
}

/// A part that the store has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub number: i32,
    /// In bytes.
    pub size: u64,
    /// With its quotes.
    pub etag: String,
}

/// The size of all parts but the last of an object of this size, in bytes.
pub fn part_size(length: u64) -> u64 {
    LEAST.max(length.div_ceil(MAX_PARTS))
}

impl Storage {
    /// Begins an upload in parts, and returns the store's name of it. `None` if there is no bucket.
    pub async fn begin_parts(&self, id: MediaId, content_type: &str) -> Result<Option<String>, StorageError> {
        let Self::S3(s3) = self else { return Ok(None) };
        observe("put_file", Box::pin(s3.begin_parts(id, content_type))).await.map(Some)
    }

    /// A URL at which a client puts a part into the bucket. `None` if there is no bucket.
    pub async fn part_url(&self, part: &PartUrl<'_>) -> Result<Option<String>, StorageError> {
        match self {
            Self::Local(_) => Ok(None),
            Self::S3(s3) => s3.part_url(part).await.map(Some),
        }
    }

    /// The parts that have arrived, in their order. `None` if the store does not know the upload: it was completed or aborted.
    pub async fn parts(&self, id: MediaId, upload: &str) -> Result<Option<Vec<Part>>, StorageError> {
        let Self::S3(s3) = self else { return Ok(None) };
        observe("list", Box::pin(s3.parts(id, upload))).await
    }

    /// Makes these parts the object.
    pub async fn complete_parts(&self, id: MediaId, upload: &str, parts: &[Part]) -> Result<(), StorageError> {
        let Self::S3(s3) = self else { return Ok(()) };
        observe("put_file", Box::pin(s3.complete_parts(id, upload, parts))).await
    }

    /// Ends an upload and removes its parts. One that the store does not know is no error.
    pub async fn abort_parts(&self, id: MediaId, upload: &str) -> Result<(), StorageError> {
        let Self::S3(s3) = self else { return Ok(()) };
        observe("delete", Box::pin(s3.abort_parts(id, upload))).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_object_has_more_parts_than_a_store_takes() {
        assert_eq!(part_size(1), LEAST);
        for length in [LEAST * MAX_PARTS, LEAST * MAX_PARTS + 1, 5 << 40] {
            assert!(length.div_ceil(part_size(length)) <= MAX_PARTS, "{length}");
        }
    }
}
