//! Sends a large file in parts.

use std::{os::unix::fs::FileExt as _, sync::Arc};

use aws_sdk_s3::{
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};
use fs_err::File;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use ring::digest::{Context, SHA256};

use super::{Object, S3Storage, SHA256_METADATA, StorageError, StorageKey, blocking, error::failed, time_for};

/// The least size of a part but the last, in bytes. Stores demand at least 5 MiB.
const PART: u64 = 8 << 20;

/// The most parts that an upload may have.
const MAX_PARTS: u64 = 10_000;

/// How many parts are in memory, and sent, at a time.
const AT_A_TIME: usize = 3;

impl S3Storage {
    /// Sends the file in parts. If that fails, the store keeps nothing of it.
    pub(super) async fn put_parts(
        &self,
        key: StorageKey,
        file: File,
        size: u64,
        content_type: &str,
    ) -> Result<(), StorageError> {
        let (storage, content_type) = (self.clone(), content_type.to_owned());
        // Spawned, so that an upload is aborted also if the caller is dropped.
        let sent = tokio::spawn(async move { storage.send_all(key, Arc::new(file), size, &content_type).await });
        sent.await.map_err(|panic| StorageError::Internal(panic.into()))?
    }

    async fn send_all(
        &self,
        key: StorageKey,
        file: Arc<File>,
        size: u64,
        content_type: &str,
    ) -> Result<(), StorageError> {
        let part_size = PART.max(size.div_ceil(MAX_PARTS));
        let digest = hash(file.clone(), size).await?;
        let call = self.client.create_multipart_upload().bucket(&*self.bucket).key(key.to_string());
        let call = call.content_type(content_type).cache_control(key.cache_control());
        let begun = call.metadata(SHA256_METADATA, hex::encode(digest)).send().await;
        let begun = begun.map_err(|error| failed(&format!("begin {key}"), error))?;
        let upload = begun.upload_id().unwrap_or_default();

        let parts = (1..).zip((0..size).step_by(part_size as usize)).map(|(number, offset)| {
            self.send_part(key, upload, number, file.clone(), offset, part_size.min(size - offset))
        });
        let sent: Result<Vec<_>, _> = stream::iter(parts).buffered(AT_A_TIME).try_collect().await;
        let completed = match sent {
            Ok(parts) => self.complete(key, upload, parts, Object { size, sha256: Some(digest) }).await,
            Err(error) => Err(error),
        };
        if completed.is_err() {
            let call = self.client.abort_multipart_upload().bucket(&*self.bucket).key(key.to_string());
            if let Err(error) = call.upload_id(upload).send().await {
                let error = failed(&format!("abort {key}"), error);
                tracing::warn!(%error, "parts of an upload remain until a lifecycle rule of the bucket removes them");
            }
        }
        completed
    }

    async fn send_part(
        &self,
        key: StorageKey,
        upload: &str,
        number: i32,
        file: Arc<File>,
        offset: u64,
        length: u64,
    ) -> Result<CompletedPart, StorageError> {
        let bytes = blocking(move || {
            let mut bytes = vec![0; length as usize];
            file.file().read_exact_at(&mut bytes, offset)?;
            Ok(bytes)
        });
        let call = self.client.upload_part().bucket(&*self.bucket).key(key.to_string()).upload_id(upload);
        let call = call.part_number(number).body(ByteStream::from(bytes.await?));
        let sent = call.customize().config_override(time_for(length)).send().await;
        let sent = sent.map_err(|error| failed(&format!("write part {number} of {key}"), error))?;
        Ok(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag().map(str::to_owned)).build())
    }

    async fn complete(
        &self,
        key: StorageKey,
        upload: &str,
        parts: Vec<CompletedPart>,
        expected: Object,
    ) -> Result<(), StorageError> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let call = self.client.complete_multipart_upload().bucket(&*self.bucket).key(key.to_string());
        // The store puts the parts together before it answers.
        let limits = time_for(expected.size);
        let call = call.upload_id(upload).multipart_upload(parts).customize().config_override(limits);
        let Err(error) = call.send().await else { return Ok(()) };
        // If an answer was lost, the store no longer knows the upload when it is asked again.
        match self.head(key).await {
            Ok(Some(object)) if object == expected => Ok(()),
            _ => Err(failed(&format!("complete {key}"), error)),
        }
    }
}

async fn hash(file: Arc<File>, size: u64) -> Result<[u8; 32], StorageError> {
    blocking(move || {
        let (mut context, mut buffer) = (Context::new(&SHA256), vec![0; 1 << 20]);
        let mut offset = 0;
        while offset < size {
            let length = (size - offset).min(buffer.len() as u64) as usize;
            file.file().read_exact_at(&mut buffer[..length], offset)?;
            context.update(&buffer[..length]);
            offset += length as u64;
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        Ok(digest)
    })
    .await
}
