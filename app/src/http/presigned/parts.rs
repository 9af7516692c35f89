//! Presigned uploads in parts: the client can send several side by side, and after a reload only those that are missing.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Presigned;
use crate::{
    error_code::ErrorCode,
    http::{
        access::Uploader,
        answers::{Answer, NoContent, NoStore},
        error::ApiError,
        json_body::JsonBody,
        upload::UploadLimits,
        values::{MediaPath, Rfc3339 as Time},
    },
    media::MediaId,
    presigned::{self, NewUpload, PART_TYPES},
    storage::{MAX_PARTS, PartUrl, Storage, part_size},
    validate,
    worker::Worker,
};

/// How long an upload may take, from its creation on.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How many URLs one request gets.
const MAX_NUMBERS: usize = 100;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginRequest {
    /// In exactly this spelling, without parameters. The content must be of this type; a clip, of any that the service takes.
    #[schemars(extend("enum" = PART_TYPES))]
    content_type: String,
    /// The name of the media.
    #[schemars(length(min = 1, max = validate::MAX_NAME_CHARS), regex(pattern = validate::NAME_PATTERN))]
    file_name: String,
    /// Of the whole file, in bytes.
    #[schemars(range(min = 1))]
    content_length: u64,
}

#[derive(Serialize, JsonSchema)]
pub struct BegunResponse {
    /// The id of the media, which is pending.
    #[schemars(with = "MediaId")]
    image_id: String,
    /// The size of each part but the last, in bytes.
    part_size: u64,
    /// The parts are 1 to this.
    part_count: u64,
    /// Until then all parts must have arrived.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    expires_at: OffsetDateTime,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartsRequest {
    #[schemars(length(min = 1, max = MAX_NUMBERS), inner(range(min = 1, max = MAX_PARTS)))]
    part_numbers: Vec<u64>,
}

#[derive(Serialize, JsonSchema)]
pub struct PartUrlsResponse {
    /// In the order of the request.
    items: Vec<PartUrlResponse>,
    /// Of the URLs; later ones can be had by asking again.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    expires_at: OffsetDateTime,
}

#[derive(Serialize, JsonSchema)]
pub struct PartUrlResponse {
    part_number: u64,
    /// For a `PUT` of the bytes of this part.
    upload_url: String,
}

#[derive(Serialize, JsonSchema)]
pub struct PartsResponse {
    /// The parts that have arrived, in their order.
    items: Vec<PartResponse>,
}

#[derive(Serialize, JsonSchema)]
pub struct PartResponse {
    part_number: i32,
    /// In bytes.
    size: u64,
    etag: String,
}

/// `POST /api/image/v1/upload/multipart`
pub async fn begin(
    State(storage): State<Arc<Storage>>,
    State(limits): State<UploadLimits>,
    State(Presigned { settings, creation, .. }): State<Presigned>,
    Uploader(access): Uploader,
    JsonBody(request): JsonBody<BeginRequest>,
) -> Result<Answer<201, NoStore<BegunResponse>>, ApiError> {
    if !PART_TYPES.contains(&request.content_type.as_str()) {
        let message = format!("content_type must be one of {}", PART_TYPES.join(", "));
        return Err(ApiError::new(ErrorCode::InvalidContentType, message));
    }
    let name = validate::name(&request.file_name)?;
    limits.check_size(request.content_length)?;
    let length = i64::try_from(request.content_length).ok().filter(|length| *length > 0);
    let length = length.ok_or_else(|| ApiError::new(ErrorCode::BadRequest, "content_length must be at least 1"))?;
    let (id, now) = (MediaId::generate(), OffsetDateTime::now_utc().truncate_to_second());
    let multipart = storage.begin_parts(id, &request.content_type).await?.ok_or_else(no_bucket)?;
    let expires_at = now + LIFETIME;
    let new = NewUpload {
        id,
        name: name.to_owned(),
        content_type: request.content_type,
        length: Some(length),
        multipart: Some(multipart.clone()),
        uploader: access.account.id,
        expires_at,
    };
    if !creation.create(new).await? {
        storage.abort_parts(id, &multipart).await?;
        return Err(super::too_many(settings.max_pending));
    }
    let part_size = part_size(request.content_length);
    Ok(Answer(NoStore(BegunResponse {
        image_id: id.to_string(),
        part_size,
        part_count: request.content_length.div_ceil(part_size),
        expires_at,
    })))
}

/// `POST /api/image/v1/upload/{image_id}/parts`: URLs of parts.
pub async fn sign(
    State(db): State<PgPool>,
    State(storage): State<Arc<Storage>>,
    State(Presigned { settings, .. }): State<Presigned>,
    Uploader(access): Uploader,
    MediaPath(id): MediaPath,
    JsonBody(request): JsonBody<PartsRequest>,
) -> Result<NoStore<PartUrlsResponse>, ApiError> {
    let numbers = request.part_numbers;
    let bad =
        || ApiError::new(ErrorCode::BadRequest, format!("part_numbers must have 1 to {MAX_NUMBERS} parts of the file"));
    if !(1..=MAX_NUMBERS).contains(&numbers.len()) || !numbers.iter().all(|number| (1..=MAX_PARTS).contains(number)) {
        return Err(bad());
    }
    let (multipart, length) = find(&db, id, access.account.id).await?;
    let (part_size, begins_at) = (part_size(length), OffsetDateTime::now_utc().truncate_to_second());
    let mut items = Vec::with_capacity(numbers.len());
    for number in numbers {
        let part_length = length.checked_sub((number - 1) * part_size).filter(|left| *left > 0).ok_or_else(bad)?;
        let part = PartUrl {
            id,
            upload: &multipart,
            number: number.try_into().map_err(|_| bad())?,
            length: part_length.min(part_size).try_into().map_err(|_| bad())?,
            begins_at,
            life: settings.upload_url,
        };
        let upload_url = storage.part_url(&part).await?.ok_or_else(no_bucket)?;
        items.push(PartUrlResponse { part_number: number, upload_url });
    }
    Ok(NoStore(PartUrlsResponse { items, expires_at: begins_at + settings.upload_url }))
}

/// `GET /api/image/v1/upload/{image_id}/parts`: which parts have arrived.
pub async fn list(
    State(db): State<PgPool>,
    State(storage): State<Arc<Storage>>,
    Uploader(access): Uploader,
    MediaPath(id): MediaPath,
) -> Result<Json<PartsResponse>, ApiError> {
    let (multipart, _) = find(&db, id, access.account.id).await?;
    let parts = storage.parts(id, &multipart).await?.ok_or_else(ApiError::not_found)?;
    let items =
        parts.into_iter().map(|part| PartResponse { part_number: part.number, size: part.size, etag: part.etag });
    Ok(Json(PartsResponse { items: items.collect() }))
}

/// `DELETE /api/image/v1/upload/{image_id}`: ends an upload whose file is not accepted yet, in parts or not, with its media.
pub async fn cancel(
    State(db): State<PgPool>,
    State(worker): State<Arc<Worker>>,
    Uploader(access): Uploader,
    MediaPath(id): MediaPath,
) -> Result<NoContent, ApiError> {
    presigned::status(&db, id, access.account.id).await?.ok_or_else(ApiError::not_found)?;
    presigned::find(&db, id).await?.ok_or_else(ApiError::not_found)?;
    worker.delete(id).await?.ok_or_else(ApiError::not_found)?;
    Ok(Answer(()))
}

/// The store's name of an upload in parts of this account, and the size of its file.
async fn find(db: &PgPool, id: MediaId, account: Uuid) -> Result<(String, u64), ApiError> {
    presigned::status(db, id, account).await?.ok_or_else(ApiError::not_found)?;
    let upload = presigned::find(db, id).await?.ok_or_else(ApiError::not_found)?;
    upload.multipart.zip(upload.length).ok_or_else(ApiError::not_found)
}

fn no_bucket() -> ApiError {
    let message = "files are stored in a folder of the service; send them in parts by tus, at /api/uploads";
    ApiError::new(ErrorCode::NoBucket, message)
}
