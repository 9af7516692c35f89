//! Uploads in parts: they are one object once all parts have arrived.

use sqlx::PgPool;

use super::Upload;
use crate::{
    db,
    storage::{Part, Storage},
};

/// Has the store put the parts together, if all have arrived. Returns false if some are missing. Of an upload in one request there is
/// nothing to do.
///
/// May be called again: what the store no longer knows was put together by another call, or the object is missing.
pub async fn finish(db: &PgPool, storage: &Storage, upload: &Upload) -> anyhow::Result<bool> {
    let Some(multipart) = &upload.multipart else { return Ok(true) };
    if let Some(parts) = storage.parts(upload.id, multipart).await? {
        if !are_all(&parts, upload.length) {
            return Ok(false);
        }
        storage.complete_parts(upload.id, multipart, &parts).await?;
    }
    db::retried(|| async {
        sqlx::query!("UPDATE presigned_upload SET multipart = NULL WHERE media = $1", upload.id.to_string())
            .execute(db)
            .await
    })
    .await?;
    Ok(true)
}

/// Each URL takes a part of its size only, so the sum tells.
fn are_all(parts: &[Part], length: Option<u64>) -> bool {
    length == Some(parts.iter().map(|part| part.size).sum())
}
