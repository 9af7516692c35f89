//! The bytes of a media as they were received, for its uploader and for admins: others get them without their location.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, Method},
};
use ring::digest;
use sqlx::PgPool;

use super::{Content, File, FileResponse};
use crate::{
    auth::{Access, Role, Scope},
    http::{error::ApiError, values::MediaPath},
    media::{self, MediaId, Status},
    storage::Storage,
};

/// `GET /api/media/{id}/original`: the file as it was received, or a range of it.
pub async fn get(
    State(db): State<PgPool>,
    State(storage): State<Arc<Storage>>,
    access: Access,
    MediaPath(id): MediaPath,
    method: Method,
    headers: HeaderMap,
) -> Result<FileResponse, ApiError> {
    if !access.scopes.contains(&Scope::Read) {
        return Err(ApiError::forbidden("this API key does not have the scope read"));
    }
    let media = media::find(&db, id).await?.filter(|media| media.status == Status::Ready);
    let media = media.ok_or_else(ApiError::not_found)?;
    if access.account.id != media.uploader_id && access.role != Role::Admin {
        return Err(ApiError::forbidden("only its uploader and admins may download an original"));
    }
    let received = storage.open_first(media.received_keys()).await?.ok_or_else(ApiError::not_found)?;
    // Opened before `received`, which may be a copy, goes.
    let content = Content::open(received.to_path_buf()).await?.ok_or_else(ApiError::not_found)?;
    let file = File {
        tag: tag(media.received_file.unwrap_or(media.file)),
        content,
        name: &media.name,
        mime_type: media.mime_type.as_deref().unwrap_or("application/octet-stream"),
        cache_control: "private, no-store",
    };
    file.answer(&method, &headers).await
}

/// The bytes behind the id of an object never change. The id stays secret.
fn tag(object: MediaId) -> String {
    let hash = digest::digest(&digest::SHA256, object.to_string().as_bytes());
    format!("\"{}\"", hex::encode(&hash.as_ref()[..16]))
}
