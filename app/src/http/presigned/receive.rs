//! `PUT /api/uploads/{id}`: the URL of a presigned upload where files are stored in a local folder.

use std::{error::Error, sync::Arc};

use axum::{
    body::Body,
    extract::{FromRequest, Query, Request, State},
    http::{StatusCode, header::CONTENT_TYPE},
};
use http_body_util::BodyExt as _;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use sqlx::PgPool;
use tempfile::TempPath;
use tokio::io::AsyncWriteExt as _;

use crate::{
    auth::Authenticator,
    error_code::ErrorCode,
    http::{
        answers::Answer,
        error::ApiError,
        openapi::{Input, Operation},
        pace::TooSlow,
        upload::UploadLimits,
        values::MediaPath,
    },
    metrics::metrics,
    presigned,
    storage::{Storage, StorageError, StorageKey},
    validate::ValidationError,
};

#[derive(Deserialize, JsonSchema)]
pub struct TokenQuery {
    /// As in the URL that the service has signed.
    #[serde(default)]
    token: String,
}

/// The file, with its declared type.
pub struct FileBody {
    content_type: String,
    body: Body,
}

/// Stores the file of a presigned upload, and has a worker look into it. As at a store, the URL can be used again until it expires.
pub async fn receive(
    State(db): State<PgPool>,
    State(storage): State<Arc<Storage>>,
    State(authenticator): State<Arc<Authenticator>>,
    State(limits): State<UploadLimits>,
    MediaPath(id): MediaPath,
    Query(query): Query<TokenQuery>,
    FileBody { content_type, body }: FileBody,
) -> Result<Answer<200, ()>, ApiError> {
    if !authenticator.may_upload(id, &query.token) {
        return Err(ApiError::new(ErrorCode::BadSignature, "the URL of the upload is wrong or has expired"));
    }
    let upload = presigned::find(&db, id).await?.ok_or_else(ApiError::not_found)?;
    if content_type != upload.content_type {
        let message = format!("Content-Type must be {}, as it was declared", upload.content_type);
        return Err(ApiError::new(ErrorCode::InvalidContentType, message));
    }
    let _place = limits.begin(upload.uploader)?;
    let limit = upload.length.unwrap_or(u64::MAX).min(limits.max_bytes());
    let (file, size) = spool(&storage, body, limit).await?;
    if size == 0 {
        return Err(ValidationError::EmptyFile.into());
    }
    if upload.length.is_some_and(|length| length != size) {
        return Err(ApiError::new(ErrorCode::BadRequest, "the file does not have the declared content_length"));
    }
    storage.put_file(StorageKey::Original(id), &file, &content_type).await?;
    presigned::arrived(&db, id).await?;
    Ok(Answer(()))
}

async fn spool(storage: &Storage, mut body: Body, limit: u64) -> Result<(TempPath, u64), ApiError> {
    let (file, path) = storage.spool_file().await?.into_parts();
    let (mut file, mut size) = (tokio::fs::File::from_std(file), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| read_error(&error))?;
        let Some(bytes) = frame.data_ref() else { continue };
        metrics().received(bytes.len() as u64);
        size += bytes.len() as u64;
        if size > limit {
            return Err(ValidationError::TooLarge { limit }.into());
        }
        file.write_all(bytes).await.map_err(StorageError::from)?;
    }
    file.flush().await.map_err(StorageError::from)?;
    Ok((path, size))
}

fn read_error(error: &axum::Error) -> ApiError {
    let mut sources = std::iter::successors(error.source(), |&error| error.source());
    let is_late = sources.any(|source| source.is::<TooSlow>());
    ApiError::from_status(if is_late { StatusCode::REQUEST_TIMEOUT } else { StatusCode::BAD_REQUEST })
}

impl<S: Send + Sync> FromRequest<S> for FileBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let content_type =
            request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(Self { content_type: content_type.to_owned(), body: request.into_body() })
    }
}

impl Input for FileBody {
    fn describe(operation: &mut Operation<'_>) {
        operation.body("image/*", json!({ "type": "string", "format": "binary" }));
    }
}
