//! The bytes of a media as they were received, for its uploader and for admins: others get them without their location.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{
        HeaderValue,
        header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    response::Response,
};
use sqlx::PgPool;
use tower::ServiceExt as _;
use tower_http::services::ServeFile;

use super::disposition;
use crate::{
    auth::{Access, Role, Scope},
    http::{error::ApiError, media::MediaPath},
    media::{self, Status},
    storage::{Storage, StorageKey},
};

/// `GET /api/media/{id}/original`: the file as it was received, or a range of it. Errors: 403 `forbidden`, 404.
pub async fn get(
    State(db): State<PgPool>,
    State(storage): State<Arc<Storage>>,
    access: Access,
    MediaPath(id): MediaPath,
    request: Request,
) -> Result<Response, ApiError> {
    if !access.scopes.contains(&Scope::Read) {
        return Err(ApiError::forbidden("this API key does not have the scope read"));
    }
    let media = media::find(&db, id).await?.filter(|media| media.status == Status::Ready);
    let media = media.ok_or_else(ApiError::not_found)?;
    if access.account.id != media.uploader_id && access.role != Role::Admin {
        return Err(ApiError::forbidden("only its uploader and admins may download an original"));
    }
    let received = match storage.open_local(StorageKey::Private(media.file)).await? {
        Some(received) => received,
        None => storage.open_local(StorageKey::Original(media.file)).await?.ok_or_else(ApiError::not_found)?,
    };
    // It opens the file before `received`, which may be a copy, goes.
    let response = ServeFile::new(&*received).oneshot(request).await.unwrap_or_else(|never| match never {});
    let mut response = response.map(Body::new);
    if !response.status().is_client_error() {
        let mime_type = media.mime_type.unwrap_or_default();
        let value = |text: &str| HeaderValue::from_str(text).map_err(ApiError::internal);
        response.headers_mut().extend([
            (CONTENT_TYPE, value(&mime_type)?),
            (CONTENT_DISPOSITION, value(&disposition::inline(&media.name, &mime_type))?),
            (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
            (CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
        ]);
    }
    Ok(response)
}
