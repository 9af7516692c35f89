//! `/api/media`: list, get and delete. All accounts share one gallery: each can see and delete all media.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use time::OffsetDateTime;

use super::{
    access::{Manager, Reader},
    error::ApiError,
};
use crate::{
    ingest::Ingest,
    media::{self, Media, Status},
    storage::StorageKey,
};

const DEFAULT_LIMIT: i64 = 50;

const MAX_LIMIT: i64 = 100;

#[derive(Serialize)]
pub struct MediaResponse {
    id: String,
    name: String,
    description: String,
    #[serde(rename = "type")]
    kind: &'static str,
    status: Status,
    /// Relative to the service's origin; `None` unless ready.
    file_url: Option<String>,
    /// Relative to the service's origin; `None` unless ready.
    thumbnail_url: Option<String>,
    /// Not implemented: always `None`.
    clipboard_url: Option<String>,
    /// In bytes.
    size: Option<i64>,
    mime_type: Option<String>,
    /// In pixels, after EXIF rotation.
    width: Option<i32>,
    /// In pixels, after EXIF rotation.
    height: Option<i32>,
    ocr_text: Option<String>,
    /// User name.
    uploader: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    tags: Vec<String>,
}

#[derive(Serialize)]
pub struct PageResponse {
    /// Newest first.
    items: Vec<MediaResponse>,
    /// The value of `before` for the next page; `None` on the last page.
    next: Option<String>,
}

#[derive(Deserialize)]
pub struct PageQuery {
    /// 1 to [`MAX_LIMIT`].
    limit: Option<i64>,
    /// A media id; the page starts after it.
    before: Option<String>,
}

/// `GET /api/media`: a page of media, newest first. Errors: 400 `bad_paging`.
pub async fn list(
    State(db): State<PgPool>,
    _: Reader,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<PageResponse>, ApiError> {
    let bad_paging =
        || ApiError::bad_request("bad_paging", "limit must be a number from 1 to 100, before must be a media id");
    let Query(PageQuery { limit, before }) = query.map_err(|_| bad_paging())?;
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    let before = before.map(|id| id.parse()).transpose().map_err(|_| bad_paging())?;
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(bad_paging());
    }
    // One row more than requested shows whether there is a next page.
    let mut media = media::list(&db, limit + 1, before).await?;
    let more = media.len() as i64 > limit;
    media.truncate(limit as usize);
    let next = media.last().filter(|_| more).map(|last| last.id.to_string());
    Ok(Json(PageResponse { items: media.into_iter().map(Into::into).collect(), next }))
}

/// `GET /api/media/{id}`. Errors: 404.
pub async fn get(State(db): State<PgPool>, _: Reader, Path(id): Path<String>) -> Result<Json<MediaResponse>, ApiError> {
    let media = media::find(&db, id.parse().map_err(|_| ApiError::not_found())?).await?;
    media.map(|media| Json(media.into())).ok_or_else(ApiError::not_found)
}

/// `DELETE /api/media/{id}`: deletes the row, the original and the thumbnail. Errors: 404.
pub async fn delete(
    State(ingest): State<Arc<Ingest>>,
    _: Manager,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let id = id.parse().map_err(|_| ApiError::not_found())?;
    let deleted = ingest.delete(id).await?;
    if deleted { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::not_found()) }
}

impl From<Media> for MediaResponse {
    fn from(media: Media) -> Self {
        let url = |key: StorageKey| (media.status == Status::Ready).then(|| format!("/api/files/{key}"));
        Self {
            file_url: url(StorageKey::Original(media.id)),
            thumbnail_url: url(StorageKey::Thumbnail(media.id)),
            clipboard_url: None,
            id: media.id.to_string(),
            name: media.name,
            description: media.description,
            kind: "image",
            status: media.status,
            size: media.size,
            mime_type: media.mime_type,
            width: media.width,
            height: media.height,
            ocr_text: media.ocr_text,
            uploader: media.uploader,
            created_at: media.created_at,
            tags: media.tags,
        }
    }
}
