//! Changes of media: names, descriptions, tags, the trash, and what is derived anew.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequestParts, Query, State},
    http::{header::IF_MATCH, request::Parts},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgPool;

use super::{
    access::Manager,
    answers::{Answer, NoContent},
    error::ApiError,
    json_body::JsonBody,
    media::VersionedMedia,
    openapi::{Input, Operation},
    values::MediaPath,
};
use crate::{
    error_code::ErrorCode,
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

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeRequest {
    #[schemars(length(min = 1, max = validate::MAX_NAME_CHARS), regex(pattern = validate::NAME_PATTERN))]
    name: Option<String>,
    #[schemars(length(max = validate::MAX_DESCRIPTION_CHARS), regex(pattern = validate::DESCRIPTION_PATTERN))]
    description: Option<String>,
    /// All tags, in the place of those it has.
    #[schemars(
        length(max = validate::MAX_TAGS),
        inner(length(min = 1, max = validate::MAX_TAG_CHARS), regex(pattern = validate::TAG_PATTERN))
    )]
    tags: Option<Vec<String>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkRequest {
    #[schemars(with = "Vec<MediaId>", length(min = 1, max = MAX_BULK))]
    ids: Vec<String>,
    action: BulkAction,
    /// For `tag` and `untag`, which need some; the other actions have none.
    #[serde(default)]
    #[schemars(
        length(max = validate::MAX_TAGS),
        inner(length(min = 1, max = validate::MAX_TAG_CHARS), regex(pattern = validate::TAG_PATTERN))
    )]
    tags: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BulkAction {
    Tag,
    Untag,
    Delete,
    Restore,
}

#[derive(Serialize, JsonSchema)]
pub struct BulkResponse {
    /// The media that were changed: of the others there is none, or they have been so already.
    #[schemars(with = "Vec<MediaId>")]
    changed: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
pub struct DeleteQuery {
    /// Deletes for ever instead of moving to the trash.
    #[serde(default)]
    permanent: bool,
}

/// `PATCH /api/media/{id}`: changes what the body names. With `If-Match`, only if no other request changed it since.
pub async fn change(
    State(db): State<PgPool>,
    State(storage): State<Arc<Storage>>,
    _: Manager,
    MediaPath(id): MediaPath,
    IfMatch(version): IfMatch,
    JsonBody(request): JsonBody<ChangeRequest>,
) -> Result<VersionedMedia, ApiError> {
    let change = Change {
        name: request.name.as_deref().map(validate::name).transpose()?.map(str::to_owned),
        description: request.description.as_deref().map(validate::description).transpose()?.map(str::to_owned),
        tags: request.tags.as_deref().map(validate::tags).transpose()?,
    };
    match changes::change(&db, id, version, &change).await? {
        Changed::Done => VersionedMedia::find(&db, &storage, id).await,
        Changed::OtherVersion => Err(ApiError::other_version()),
        Changed::NotFound => Err(ApiError::not_found()),
    }
}

/// `POST /api/media/bulk`: tags, untags, deletes (to the trash) or restores many media.
pub async fn bulk(
    State(db): State<PgPool>,
    _: Manager,
    JsonBody(request): JsonBody<BulkRequest>,
) -> Result<Json<BulkResponse>, ApiError> {
    let bad = |message: &str| ApiError::new(ErrorCode::BadBulk, message);
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
/// its files.
pub async fn delete(
    State(db): State<PgPool>,
    State(worker): State<Arc<Worker>>,
    State(files): State<Arc<FileInfos>>,
    _: Manager,
    MediaPath(id): MediaPath,
    Query(query): Query<DeleteQuery>,
) -> Result<NoContent, ApiError> {
    let deleted = if query.permanent {
        // Spawned, because axum drops the request's future when the client disconnects.
        let deleted = tokio::spawn(async move { worker.delete(id).await }).await.map_err(ApiError::internal)??;
        deleted.inspect(|objects| objects.iter().for_each(|object| files.forget(*object))).is_some()
    } else {
        !changes::change_all(&db, &[id], &Bulk::Trash).await?.is_empty() || media::exists(&db, id).await?
    };
    if deleted { Ok(Answer(())) } else { Err(ApiError::not_found()) }
}

/// `POST /api/media/{id}/restore`: takes it out of the trash.
pub async fn restore(
    State(db): State<PgPool>,
    State(storage): State<Arc<Storage>>,
    _: Manager,
    MediaPath(id): MediaPath,
) -> Result<VersionedMedia, ApiError> {
    changes::change_all(&db, &[id], &Bulk::Restore).await?;
    VersionedMedia::find(&db, &storage, id).await
}

/// `POST /api/media/{id}/thumbnails`: derives thumbnails and what is known of the content anew; also tries a failed one again.
pub async fn derive(
    State(db): State<PgPool>,
    State(worker): State<Arc<Worker>>,
    _: Manager,
    MediaPath(id): MediaPath,
) -> Result<Answer<202, ()>, ApiError> {
    enqueue(&db, &worker, id, jobs::Kind::Process).await
}

/// `POST /api/media/{id}/ocr`: recognises the text of a picture anew.
pub async fn recognise(
    State(db): State<PgPool>,
    State(worker): State<Arc<Worker>>,
    _: Manager,
    MediaPath(id): MediaPath,
) -> Result<Answer<202, ()>, ApiError> {
    if !worker.features().ocr && media::exists(&db, id).await? {
        let message = "OCR is off: readiness tells what it takes";
        return Err(ApiError::new(ErrorCode::FeatureOff, message));
    }
    enqueue(&db, &worker, id, jobs::Kind::Ocr).await
}

async fn enqueue(db: &PgPool, worker: &Worker, id: MediaId, kind: jobs::Kind) -> Result<Answer<202, ()>, ApiError> {
    if !media::lifecycle::enqueue(db, id, kind).await? {
        return Err(ApiError::not_found());
    }
    worker.wake();
    Ok(Answer(()))
}

/// The version that `If-Match` asks for; `None` without the header or with `*`.
pub struct IfMatch(pub Option<i32>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get(IF_MATCH) else { return Ok(Self(None)) };
        match value.to_str().unwrap_or_default().trim() {
            "*" => Ok(Self(None)),
            text => {
                text.trim_matches('"').parse().map(|version| Self(Some(version))).map_err(|_| ApiError::other_version())
            }
        }
    }
}

impl Input for IfMatch {
    fn describe(operation: &mut Operation<'_>) {
        let description = "The entity tag that the media had: if it has another one, nothing is changed";
        operation.header(
            "If-Match",
            false,
            description,
            json!({ "type": "string", "pattern": r#"^(\*|"[0-9]{1,9}")$"# }),
        );
        operation.errors(&[ErrorCode::OtherVersion]);
    }
}
