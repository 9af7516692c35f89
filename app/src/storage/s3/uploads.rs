//! Objects that clients put into the bucket at presigned URLs.

use std::time::SystemTime;

use tempfile::TempPath;

use super::{S3Storage, Signable, StorageError, StorageKey, error::failed, is_gone, size};
use crate::{
    media::MediaId,
    storage::uploads::{UploadUrl, Uploaded},
};

impl S3Storage {
    /// The signature covers the type, and the size if there is one. It does not cover `If-None-Match: *`, which some stores ignore:
    /// what a client puts twice is validated once, and served from elsewhere.
    pub(in crate::storage) async fn upload_url(&self, upload: &UploadUrl<'_>) -> Result<String, StorageError> {
        let length = upload.length.map(|length| length.to_string());
        let mut headers = vec![("content-type", upload.content_type)];
        headers.extend(length.as_deref().map(|length| ("content-length", length)));
        let signable = Signable {
            method: "PUT",
            key: StorageKey::Original(upload.id),
            query: &[],
            headers: &headers,
            begins_at: SystemTime::from(upload.begins_at),
            life: upload.life,
        };
        self.signer.url(&signable).await
    }

    pub(in crate::storage) async fn uploaded(&self, id: MediaId) -> Result<Option<Uploaded>, StorageError> {
        let key = StorageKey::Original(id);
        let sent = self.client.head_object().bucket(&*self.bucket).key(key.to_string()).send().await;
        match sent {
            Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => Ok(None),
            sent => {
                let head = sent.map_err(|error| failed(&format!("look at {key}"), error))?;
                Ok(Some(Uploaded { size: size(head.content_length()), etag: head.e_tag().map(str::to_owned) }))
            }
        }
    }

    pub(in crate::storage) async fn uploaded_head(
        &self,
        id: MediaId,
        uploaded: &Uploaded,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        let key = StorageKey::Original(id);
        let range = format!("bytes=0-{}", limit.min(uploaded.size).saturating_sub(1));
        let mut object = match self.get(key, uploaded.etag.as_deref()).range(range).send().await {
            Err(error) if is_gone(&error) => return Ok(None),
            sent => sent.map_err(|error| failed(&format!("read {key}"), error))?,
        };
        let mut head = Vec::new();
        // A store that knows no ranges sends all of it.
        while let Some(chunk) = object.body.try_next().await.map_err(|error| StorageError::Unavailable(error.into()))? {
            head.extend_from_slice(&chunk);
            if head.len() as u64 >= limit {
                head.truncate(limit as usize);
                break;
            }
        }
        Ok(Some(head))
    }

    /// Downloads this very object, and no other that has its key by now.
    pub(in crate::storage) async fn take_uploaded(
        &self,
        id: MediaId,
        uploaded: &Uploaded,
    ) -> Result<Option<TempPath>, StorageError> {
        self.download(StorageKey::Original(id), uploaded.etag.as_deref()).await
    }
}
