//! `/api/image/v1/download`: URLs that end, to download the files of media.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use axum::extract::State;
use futures_util::future::try_join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use time::OffsetDateTime;

use super::{
    access::Reader,
    answers::NoStore,
    error::ApiError,
    json_body::JsonBody,
    presigned::Presigned,
    values::{MediaPath, Rfc3339 as Time},
};
use crate::{
    error_code::ErrorCode,
    media::{self, MediaId, ReadyFile},
    storage::{Storage, StorageError, StorageKey},
};

const MAX_IDS: usize = 50;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UrlsRequest {
    /// One that is there twice counts once.
    #[schemars(with = "Vec<MediaId>", length(min = 1, max = MAX_IDS))]
    image_ids: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct UrlsResponse {
    /// In the order of the request.
    items: Vec<UrlResponse>,
    /// There are no media with these ids, or they are not ready.
    #[schemars(with = "Vec<MediaId>")]
    not_found: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct UrlResponse {
    #[schemars(with = "MediaId")]
    image_id: String,
    /// Relative to the service's origin if the service itself serves files.
    download_url: String,
    /// The URL works until then. Only a signed one ends: those of a public bucket and of the service itself last as long as the file.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    expires_at: OffsetDateTime,
}

/// `GET /api/image/v1/download/get-signed-url/{image_id}`
pub async fn get(
    State(db): State<PgPool>,
    State(storage): State<Arc<Storage>>,
    State(presigned): State<Presigned>,
    _: Reader,
    MediaPath(id): MediaPath,
) -> Result<NoStore<UrlResponse>, ApiError> {
    let urls = sign(&db, &storage, &presigned, &[id]).await?;
    urls.items.into_iter().next().map(NoStore).ok_or_else(ApiError::not_found)
}

/// `POST /api/image/v1/download/get-signed-urls`
pub async fn list(
    State(db): State<PgPool>,
    State(storage): State<Arc<Storage>>,
    State(presigned): State<Presigned>,
    _: Reader,
    JsonBody(request): JsonBody<UrlsRequest>,
) -> Result<NoStore<UrlsResponse>, ApiError> {
    let bad = || ApiError::new(ErrorCode::BadBulk, format!("image_ids must have 1 to {MAX_IDS} ids of media"));
    if !(1..=MAX_IDS).contains(&request.image_ids.len()) {
        return Err(bad());
    }
    let ids: Result<Vec<MediaId>, _> = request.image_ids.iter().map(|id| id.parse()).collect();
    let mut seen = HashSet::new();
    let ids: Vec<_> = ids.map_err(|_| bad())?.into_iter().filter(|id| seen.insert(*id)).collect();
    Ok(NoStore(sign(&db, &storage, &presigned, &ids).await?))
}

async fn sign(
    db: &PgPool,
    storage: &Storage,
    presigned: &Presigned,
    ids: &[MediaId],
) -> Result<UrlsResponse, ApiError> {
    let files: HashMap<_, _> =
        media::find_ready_files(db, ids).await?.into_iter().map(|file| (file.media, file)).collect();
    let found = ids.iter().filter_map(|id| files.get(id));
    let missing = ids.iter().filter(|id| !files.contains_key(id));
    Ok(UrlsResponse {
        // Side by side, because a signature may take a millisecond.
        items: try_join_all(found.map(|ready| sign_one(ready, storage, presigned))).await?,
        not_found: missing.map(ToString::to_string).collect(),
    })
}

async fn sign_one(ready: &ReadyFile, storage: &Storage, presigned: &Presigned) -> Result<UrlResponse, StorageError> {
    let version = ready.updated_at.unix_timestamp_nanos().to_string();
    let life = presigned.settings.download_url;
    let signed = storage.signed_url(StorageKey::Original(ready.file), &version, life).await?;
    Ok(UrlResponse { image_id: ready.media.to_string(), download_url: signed.url, expires_at: signed.expires_at })
}
