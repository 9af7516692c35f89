//! `POST /api/media`: receives an upload, within the limit on its size.

use std::{error::Error, sync::Arc};

use axum::{
    Json,
    extract::{
        Multipart, State,
        multipart::{Field, MultipartError, MultipartRejection},
    },
    http::StatusCode,
};
use ring::digest;
use sqlx::PgPool;
use tokio::io::AsyncWriteExt;
use tower_http::timeout::TimeoutError;

use super::{access::Uploader, error::ApiError, media::MediaResponse};
use crate::{
    ingest::{Ingest, ReceivedFile, Upload},
    media::{self, MediaId},
    validate::{self, ValidationError},
};

/// Size of an upload's body beyond the file, in bytes: part headers, name and description.
const FORM_OVERHEAD: usize = 64 * 1024;

/// Maximum size of a text field, in bytes. A description of 2000 characters of 4 bytes each fits.
const MAX_TEXT_BYTES: usize = 8 * 1024;

/// Maximum size of an uploaded file.
#[derive(Clone, Copy)]
pub struct MaxUploadBytes(pub u64);

impl MaxUploadBytes {
    /// Maximum size of the body of an upload request, in bytes.
    pub fn body_limit(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX).saturating_add(FORM_OVERHEAD)
    }
}

/// Adds an image. The multipart form has the part `file` and optionally `name` and `description`. Errors: each
/// [`ValidationError`] with its code, 400 `bad_multipart`, 408 `timeout`. Nothing of a rejected upload is kept.
pub async fn upload(
    State(ingest): State<Arc<Ingest>>,
    State(db): State<PgPool>,
    State(limit): State<MaxUploadBytes>,
    Uploader(access): Uploader,
    form: Result<Multipart, MultipartRejection>,
) -> Result<(StatusCode, Json<MediaResponse>), ApiError> {
    let mut form = form.map_err(|_| bad_multipart("the body must be a multipart form"))?;
    let (mut file, mut name, mut description) = (None, None, None);
    while let Some(field) = form.next_field().await.map_err(|error| read_error(&error, limit))? {
        match field.name() {
            Some("file") if file.is_none() => file = Some(receive_file(&ingest, field, limit).await?),
            Some("name") if name.is_none() => name = Some(read_text(field, limit).await?),
            Some("description") if description.is_none() => description = Some(read_text(field, limit).await?),
            Some("file" | "name" | "description") => return Err(bad_multipart("the form has the same part twice")),
            _ => return Err(bad_multipart("the form may only have the parts file, name and description")),
        }
    }
    let (file, file_name) = file.ok_or(ValidationError::MissingFile)?;
    let name = name.or(file_name).unwrap_or_else(|| "untitled".into());
    let upload = Upload {
        file,
        name: validate::name(&name)?.to_owned(),
        description: validate::description(&description.unwrap_or_default())?.to_owned(),
        uploader: access.account.id,
    };
    let id = ingest.add(upload).await?;
    let media = media::find(&db, id).await?.ok_or_else(ApiError::not_found)?;
    Ok((StatusCode::CREATED, Json(media.into())))
}

/// Streams the file to its staging folder and hashes it. Returns it with the file name that the client sent.
async fn receive_file(
    ingest: &Ingest,
    mut field: Field<'_>,
    limit: MaxUploadBytes,
) -> Result<(ReceivedFile, Option<String>), ApiError> {
    let file_name = field.file_name().filter(|name| !name.is_empty()).map(str::to_owned);
    let declared_type = field.content_type().map(str::to_owned);
    let id = MediaId::generate();
    let staging = ingest.stage(id)?;
    let path = staging.file("original");
    let mut file = staging.create("original").await?;
    let (mut size, mut hash) = (0_u64, digest::Context::new(&digest::SHA256));
    while let Some(chunk) = field.chunk().await.map_err(|error| read_error(&error, limit))? {
        size += chunk.len() as u64;
        if size > limit.0 {
            return Err(too_large(limit));
        }
        hash.update(&chunk);
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    let sha256 = hash.finish().as_ref().to_vec();
    Ok((ReceivedFile { id, staging, path, size, sha256, declared_type }, file_name))
}

async fn read_text(mut field: Field<'_>, limit: MaxUploadBytes) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| read_error(&error, limit))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_TEXT_BYTES {
            return Err(bad_multipart("a text field is too long"));
        }
    }
    String::from_utf8(bytes).map_err(|_| bad_multipart("a text field is not UTF-8"))
}

fn read_error(error: &MultipartError, limit: MaxUploadBytes) -> ApiError {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large(limit);
    }
    let sources = std::iter::successors(error.source(), |&error| error.source());
    if sources.into_iter().any(|source| source.is::<TimeoutError>()) {
        return ApiError::from_status(StatusCode::REQUEST_TIMEOUT);
    }
    bad_multipart("the form is malformed or incomplete")
}

fn too_large(limit: MaxUploadBytes) -> ApiError {
    ValidationError::TooLarge { limit: limit.0 }.into()
}

fn bad_multipart(message: &str) -> ApiError {
    ApiError::bad_request("bad_multipart", message)
}
