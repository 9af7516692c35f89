//! `/api/image/v1/upload`: uploads that the client puts into the store itself, at a URL that the service signs. What is put there
//! becomes a media like any other, once a worker has validated it.

pub mod parts;
mod receive;

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{FromRequestParts, Query, State},
    http::{header::IF_MATCH, request::Parts},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

pub use self::receive::receive;
use super::{
    access::Uploader,
    answers::{Answer, NoStore},
    error::ApiError,
    json_body::JsonBody,
    openapi::{Input, Operation},
    values::{MediaPath, Rfc3339 as Time},
};
use crate::{
    auth::Authenticator,
    error_code::ErrorCode,
    media::{MediaId, Status},
    notifications::{Notice, Notifications},
    presigned::{self, CONTENT_TYPES, Creation, NewUpload, UploadStatus},
    settings::PresignedSettings,
    storage::{Storage, UploadUrl},
    validate,
};

/// The largest object that a store takes in one request, in bytes (Amazon's limit).
const MAX_LENGTH: u64 = 5 << 30;

/// The longest that a request for the status waits, in seconds. Proxies end connections that are silent for a minute.
const MAX_WAIT: u64 = 50;

/// How often the status is looked at while no notification tells of it.
const POLL: Duration = Duration::from_secs(2);

/// What the routes of presigned uploads share. Cheap to clone.
#[derive(Clone)]
pub struct Presigned {
    pub settings: PresignedSettings,
    pub creation: Creation,
    pub notifications: Arc<Notifications>,
    /// Ends all waiting.
    pub stop: CancellationToken,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRequest {
    /// In exactly this spelling, without parameters. The upload must have this header, and the content must be of this type.
    #[schemars(extend("enum" = CONTENT_TYPES))]
    content_type: String,
    /// The name of the media.
    #[schemars(length(min = 1, max = validate::MAX_NAME_CHARS), regex(pattern = validate::NAME_PATTERN))]
    file_name: String,
    /// In bytes. If there is one, the URL takes no file of another size.
    #[schemars(range(min = 1, max = MAX_LENGTH))]
    content_length: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
pub struct CreatedResponse {
    /// The id of the media, which is pending.
    #[schemars(with = "MediaId")]
    image_id: String,
    /// For one `PUT` with the declared `Content-Type`. Relative to the service's origin if the service itself stores files.
    upload_url: String,
    /// Of the URL.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    expires_at: OffsetDateTime,
}

#[derive(Serialize, JsonSchema)]
pub struct StatusResponse {
    #[schemars(with = "MediaId")]
    image_id: String,
    status: Status,
    /// Why it failed: a stable code; `null` unless failed.
    failure: Option<String>,
    /// The media that had these bytes already, if that is why it failed.
    #[schemars(with = "Option<MediaId>")]
    duplicate_of: Option<String>,
    /// In bytes; `null` until the file was received.
    size: Option<i64>,
}

#[derive(Deserialize, JsonSchema)]
pub struct WaitQuery {
    /// For how many seconds to wait until it is no longer pending; not at all if missing.
    #[schemars(range(max = MAX_WAIT))]
    wait: Option<u64>,
}

/// `If-Match` with the entity tag that the store has answered the upload with.
pub struct StoredAs(Option<String>);

/// `POST /api/image/v1/upload/create-presigned-url`
pub async fn create(
    State(storage): State<Arc<Storage>>,
    State(authenticator): State<Arc<Authenticator>>,
    State(Presigned { settings, creation, .. }): State<Presigned>,
    Uploader(access): Uploader,
    JsonBody(request): JsonBody<CreateRequest>,
) -> Result<Answer<201, NoStore<CreatedResponse>>, ApiError> {
    if !CONTENT_TYPES.contains(&request.content_type.as_str()) {
        let message = format!("content_type must be one of {}", CONTENT_TYPES.join(", "));
        return Err(ApiError::new(ErrorCode::InvalidContentType, message));
    }
    let length = request.content_length.map(|length| {
        let fits = (1..=MAX_LENGTH).contains(&length);
        i64::try_from(length).ok().filter(|_| fits).ok_or_else(|| {
            ApiError::new(ErrorCode::BadRequest, format!("content_length must be a number from 1 to {MAX_LENGTH}"))
        })
    });
    let (id, length, begins_at) =
        (MediaId::generate(), length.transpose()?, OffsetDateTime::now_utc().truncate_to_second());
    let new = NewUpload {
        id,
        name: validate::name(&request.file_name)?.to_owned(),
        content_type: request.content_type,
        length,
        multipart: None,
        uploader: access.account.id,
        expires_at: begins_at + settings.upload_url,
    };
    let to_sign = UploadUrl { id, content_type: &new.content_type, length, begins_at, life: settings.upload_url };
    let upload_url = match storage.upload_url(&to_sign).await? {
        Some(url) => url,
        None => format!("/api/uploads/{id}?token={}", authenticator.sign_upload(id, new.expires_at)?),
    };
    let expires_at = new.expires_at;
    if !creation.create(new).await? {
        return Err(too_many(settings.max_pending));
    }
    Ok(Answer(NoStore(CreatedResponse { image_id: id.to_string(), upload_url, expires_at })))
}

/// `POST /api/image/v1/upload/{image_id}/complete`: tells that the file is in the store. May be repeated.
pub async fn complete(
    State(db): State<PgPool>,
    State(storage): State<Arc<Storage>>,
    Uploader(access): Uploader,
    MediaPath(id): MediaPath,
    StoredAs(etag): StoredAs,
) -> Result<Json<StatusResponse>, ApiError> {
    let find = async || {
        let found = presigned::status(&db, id, access.account.id).await?;
        found.ok_or_else(ApiError::not_found)
    };
    find().await?;
    if let Some(upload) = presigned::find(&db, id).await? {
        if !presigned::parts::finish(&db, &storage, &upload).await? {
            return Err(ApiError::new(ErrorCode::NotUploaded, "parts of the file are not in the store"));
        }
        match storage.uploaded(id).await? {
            Some(uploaded)
                if etag.as_ref().zip(uploaded.etag.as_ref()).is_some_and(|(told, is)| !is_same(told, is)) =>
            {
                let message = "the store has another file than the one with this entity tag";
                return Err(ApiError::new(ErrorCode::OtherFile, message));
            }
            Some(_) => drop(presigned::arrived(&db, id).await?),
            // A worker may have taken it meanwhile.
            None if presigned::find(&db, id).await?.is_none() => {}
            None => return Err(ApiError::new(ErrorCode::NotUploaded, "the file of this upload is not in the store")),
        }
    }
    Ok(Json(find().await?.into()))
}

/// `GET /api/image/v1/upload/{image_id}`: what has become of an upload.
pub async fn status(
    State(db): State<PgPool>,
    State(presigned): State<Presigned>,
    Uploader(access): Uploader,
    MediaPath(id): MediaPath,
    Query(query): Query<WaitQuery>,
) -> Result<Json<StatusResponse>, ApiError> {
    let wait = query.wait.unwrap_or(0);
    if wait > MAX_WAIT {
        return Err(ApiError::new(
            ErrorCode::BadRequest,
            format!("wait must be a number of seconds from 0 to {MAX_WAIT}"),
        ));
    }
    let deadline = Instant::now() + Duration::from_secs(wait);
    // Before it is looked at, so that no change is missed.
    let mut notices = presigned.notifications.subscribe();
    loop {
        let status = presigned::status(&db, id, access.account.id).await?.ok_or_else(ApiError::not_found)?;
        if status.status != Status::Pending || Instant::now() >= deadline || presigned.stop.is_cancelled() {
            return Ok(Json(status.into()));
        }
        let told = async {
            loop {
                match notices.recv().await {
                    Ok(Notice::Media { id: other, .. } | Notice::Deleted { id: other }) if other != id => {}
                    Ok(Notice::JobDue) => {}
                    Ok(_) | Err(_) => return,
                }
            }
        };
        tokio::select! {
            () = presigned.stop.cancelled() => {}
            _ = timeout_at(deadline.min(Instant::now() + POLL), told) => {}
        }
    }
}

fn too_many(most: i64) -> ApiError {
    let message = format!("{most} presigned uploads of this account are pending, which is the limit");
    ApiError::new(ErrorCode::TooManyUploads, message).retry_after(60)
}

/// Whether two entity tags are the same; many clients leave out the quotes.
fn is_same(told: &str, is: &str) -> bool {
    told.trim_matches('"') == is.trim_matches('"')
}

impl From<UploadStatus> for StatusResponse {
    fn from(upload: UploadStatus) -> Self {
        Self {
            image_id: upload.id.to_string(),
            status: upload.status,
            failure: upload.failure,
            duplicate_of: upload.duplicate_of.map(|id| id.to_string()),
            size: upload.size,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for StoredAs {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get(IF_MATCH) else { return Ok(Self(None)) };
        let bad = |_| ApiError::new(ErrorCode::BadRequest, "If-Match must be the entity tag of the store's answer");
        Ok(Self(Some(value.to_str().map_err(bad)?.to_owned()).filter(|tag| tag != "*")))
    }
}

impl Input for StoredAs {
    fn describe(operation: &mut Operation<'_>) {
        let description =
            "The `ETag` that the store has answered the upload with: nothing is done if it has another file by now";
        operation.header("If-Match", false, description, json!({ "type": "string" }));
        operation.errors(&[ErrorCode::BadRequest, ErrorCode::OtherFile]);
    }
}
