//! Large objects that clients put into the bucket in parts, at a presigned URL each.

use std::time::SystemTime;

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    types::{CompletedMultipartUpload, CompletedPart},
};

use super::{S3Storage, Signable, StorageError, StorageKey, error::failed, size, time_for};
use crate::{
    media::MediaId,
    storage::parts::{Part, PartUrl},
};

impl S3Storage {
    pub(in crate::storage) async fn begin_parts(
        &self,
        id: MediaId,
        content_type: &str,
    ) -> Result<String, StorageError> {
        let key = StorageKey::Original(id);
        let call = self.client.create_multipart_upload().bucket(&*self.bucket).key(key.to_string());
        let begun = call.content_type(content_type).send().await;
        let begun = begun.map_err(|error| failed(&format!("begin {key}"), error))?;
        Ok(begun.upload_id().unwrap_or_default().to_owned())
    }

    /// The signature covers the size of the part.
    pub(in crate::storage) async fn part_url(&self, part: &PartUrl<'_>) -> Result<String, StorageError> {
        let (number, length) = (part.number.to_string(), part.length.to_string());
        let signable = Signable {
            method: "PUT",
            key: StorageKey::Original(part.id),
            query: &[("partNumber", &number), ("uploadId", part.upload)],
            headers: &[("content-length", &length)],
            begins_at: SystemTime::from(part.begins_at),
            life: part.life,
        };
        self.signer.url(&signable).await
    }

    pub(in crate::storage) async fn parts(&self, id: MediaId, upload: &str) -> Result<Option<Vec<Part>>, StorageError> {
        let key = StorageKey::Original(id);
        let (mut parts, mut after) = (Vec::new(), None);
        loop {
            let call = self.client.list_parts().bucket(&*self.bucket).key(key.to_string()).upload_id(upload);
            let page = match call.set_part_number_marker(after).send().await {
                Err(error) if is_unknown(&error) => return Ok(None),
                sent => sent.map_err(|error| failed(&format!("list the parts of {key}"), error))?,
            };
            parts.extend(page.parts().iter().filter_map(|part| {
                let etag = part.e_tag()?.to_owned();
                Some(Part { number: part.part_number()?, size: size(part.size()), etag })
            }));
            after = page.next_part_number_marker().map(str::to_owned);
            if !page.is_truncated().unwrap_or(false) || after.is_none() {
                return Ok(Some(parts));
            }
        }
    }

    /// The store puts the parts together before it answers.
    pub(in crate::storage) async fn complete_parts(
        &self,
        id: MediaId,
        upload: &str,
        parts: &[Part],
    ) -> Result<(), StorageError> {
        let key = StorageKey::Original(id);
        let limits = time_for(parts.iter().map(|part| part.size).sum());
        let parts =
            parts.iter().map(|part| CompletedPart::builder().part_number(part.number).e_tag(&part.etag).build());
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        let call = self.client.complete_multipart_upload().bucket(&*self.bucket).key(key.to_string());
        let call = call.upload_id(upload).multipart_upload(parts).customize().config_override(limits);
        match call.send().await {
            // Another request was faster, or an answer was lost: the object tells.
            Err(error) if is_unknown(&error) => Ok(()),
            sent => sent.map(drop).map_err(|error| failed(&format!("complete {key}"), error)),
        }
    }

    pub(in crate::storage) async fn abort_parts(&self, id: MediaId, upload: &str) -> Result<(), StorageError> {
        let key = StorageKey::Original(id);
        let call = self.client.abort_multipart_upload().bucket(&*self.bucket).key(key.to_string()).upload_id(upload);
        match call.send().await {
            Err(error) if is_unknown(&error) => Ok(()),
            sent => sent.map(drop).map_err(|error| failed(&format!("abort {key}"), error)),
        }
    }
}

/// Whether the store does not have this upload: it was completed or aborted.
fn is_unknown<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    error.as_service_error().and_then(|error| error.code()) == Some("NoSuchUpload")
}
