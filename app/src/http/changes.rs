//! Changes of media: names, descriptions, tags, the trash, and what is derived anew.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header::IF_MATCH},
    response::Response,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::{
    access::Manager,
    error::ApiError,
    json_body::JsonBody,
    media::{MediaPath, with_version},
};
use crate::{
    file_infos::FileInfos,
    jobs,
    media::{
        self, MediaId,
        changes::{self, Bulk, Change, Changed},
    },
    storage::Storage,
    validate,
    worker::Worker,
};

/// Media that one request may change.
const MAX_BULK: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeRequest {
    name: Option<String>,
    description: Option<String>,
    /// All tags, in the place of those it has.
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BulkRequest {
    /// At most [`MAX_BULK`].
    ids: Vec<String>,
    action: BulkAction,
    /// For `tag` and `untag`.
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum BulkAction {
    Tag,
    Untag,
    Delete,
    Restore,
}

#[derive(Serialize)]
pub struct BulkResponse {
    /// The media that were changed: of the others there is none, or they have been so already.
    changed: Vec<String>,
}

#[derive(Deserialize)]
pub struct DeleteQuery {
    /// Deletes for ever instead of moving to the trash.
    #[serde(default)]
    permanent: bool,
}

/// `PATCH /api/media/{id}`: changes what the body names. With `If-Match`, only if no other request changed it since. Errors: 400
/// with the code of the bad field, 404, 412 `other_version`.
pub async fn change(
    State(db): State<PgPool>,
    State(storage): State<Arc<Storage>>,
    _: Manager,
    MediaPath(id): MediaPath,
    headers: HeaderMap,
    JsonBody(request): JsonBody<ChangeRequest>,
) -> Result<Response, ApiError> {
    let change = Change {
        name: request.name.as_deref().map(validate::name).transpose()?.map(str::to_owned),
        description: request.description.as_deref().map(validate::description).transpose()?.map(str::to_owned),
        tags: request.tags.as_deref().map(validate::tags).transpose()?,
    };
    match changes::change(&db, id, if_match(&headers)?, &change).await? {
        Changed::Done => with_version(&db, &storage, id).await,
        Changed::OtherVersion => Err(ApiError::other_version()),
        Changed::NotFound => Err(ApiError::not_found()),
    }
}

/// `POST /api/media/bulk`: tags, untags, deletes (to the trash) or restores many media. Errors: 400 `bad_bulk`, 400
/// `invalid_tags`.
pub async fn bulk(
    State(db): State<PgPool>,
    _: Manager,
    JsonBody(request): JsonBody<BulkRequest>,
) -> Result<Json<BulkResponse>, ApiError> {
    let bad = |message: &str| ApiError::bad_request("bad_bulk", message);
    let ids: Result<Vec<MediaId>, _> = request.ids.iter().map(|id| id.parse()).collect();
    let ids = ids.map_err(|_| bad("each id must be the id of a media"))?;
    if ids.is_empty() || ids.len() > MAX_BULK {
        return Err(bad("ids must have 1 to 1000 media"));
    }
    let tags = validate::tags(&request.tags)?;
    if tags.is_empty() == matches!(request.action, BulkAction::Tag | BulkAction::Untag) {
        return Err(bad("tag and untag need tags; delete and restore have none"));
    }
    let bulk = match request.action {
        BulkAction::Tag => Bulk::Tag(tags),
        BulkAction::Untag => Bulk::Untag(tags),
        BulkAction::Delete => Bulk::Trash,
        BulkAction::Restore => Bulk::Restore,
    };
    let changed = changes::change_all(&db, &ids, &bulk).await?;
    Ok(Json(BulkResponse { changed: changed.iter().map(ToString::to_string).collect() }))
}

/// `DELETE /api/media/{id}`: moves it to the trash, where it stays for 30 days. With `?permanent=true`, deletes it with all
/// its files. Errors: 404.
pub async fn delete(
    State(db): State<PgPool>,
    State(worker): State<Arc<Worker>>,
    State(files): State<Arc<FileInfos>>,
    _: Manager,
    MediaPath(id): MediaPath,
    Query(query): Query<DeleteQuery>,
) -> Result<StatusCode, ApiError> {
    let deleted = if query.permanent {
        // Spawned, because axum drops the request's future when the client disconnects.
        let deleted = tokio::spawn(async move { worker.delete(id).await }).await.map_err(ApiError::internal)??;
        deleted.inspect(|objects| objects.iter().for_each(|object| files.forget(*object))).is_some()
    } else {
        !changes::change_all(&db, &[id], &Bulk::Trash).await?.is_empty() || media::exists(&db, id).await?
    };
    if deleted { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::not_found()) }
}

/// `POST /api/media/{id}/restore`: takes it out of the trash. Errors: 404.
pub async fn restore(
    State(db): State<PgPool>,
    State(storage): State<Arc<Storage>>,
    _: Manager,
    MediaPath(id): MediaPath,
) -> Result<Response, ApiError> {
    changes::change_all(&db, &[id], &Bulk::Restore).await?;
    with_version(&db, &storage, id).await
}

/// `POST /api/media/{id}/thumbnails`: derives thumbnails and what is known of the content anew; also tries a failed one again.
/// 202. Errors: 404.
pub async fn derive(
    State(db): State<PgPool>,
    State(worker): State<Arc<Worker>>,
    _: Manager,
    MediaPath(id): MediaPath,
) -> Result<StatusCode, ApiError> {
    enqueue(&db, &worker, id, jobs::Kind::Process).await
}

/// `POST /api/media/{id}/ocr`: recognises the text of a picture anew. 202. Errors: 404, 503 `feature_off`.
pub async fn recognise(
    State(db): State<PgPool>,
    State(worker): State<Arc<Worker>>,
    _: Manager,
    MediaPath(id): MediaPath,
) -> Result<StatusCode, ApiError> {
    if !worker.features().ocr && media::exists(&db, id).await? {
        let message = "OCR is off: readiness tells what it takes";
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "feature_off", message));
    }
    enqueue(&db, &worker, id, jobs::Kind::Ocr).await
}

async fn enqueue(db: &PgPool, worker: &Worker, id: MediaId, kind: jobs::Kind) -> Result<StatusCode, ApiError> {
    if !media::lifecycle::enqueue(db, id, kind).await? {
        return Err(ApiError::not_found());
    }
    worker.wake();
    Ok(StatusCode::ACCEPTED)
}

/// The version that `If-Match` asks for; `None` without the header or with `*`.
fn if_match(headers: &HeaderMap) -> Result<Option<i32>, ApiError> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(None) };
    match value.to_str().unwrap_or_default().trim() {
        "*" => Ok(None),
        text => text.trim_matches('"').parse().map(Some).map_err(|_| ApiError::other_version()),
    }
}
