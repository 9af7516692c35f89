//! `POST /api/media`: receives an upload, within the limit on its size.

mod limits;

use std::{convert::Infallible, error::Error, sync::Arc};

use axum::{
    Json,
    extract::{
        FromRequest, FromRequestParts, Multipart, Request, State,
        multipart::{Field, MultipartError, MultipartRejection},
    },
    http::{HeaderName, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use ring::digest;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use sqlx::PgPool;
use tokio::io::AsyncWriteExt;

pub use self::limits::UploadLimits;
use super::{
    access::Uploader,
    error::ApiError,
    media::MediaResponse,
    openapi::{Input, Operation, Output},
    pace::TooSlow,
};
use crate::{
    db,
    error_code::ErrorCode,
    ingest::{Added, Ingest, ReceivedFile, Upload},
    media::{self, Status},
    metrics::metrics,
    storage::{Storage, StorageError},
    validate::{self, ValidationError},
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

const MAX_KEY_CHARS: usize = 255;

/// How the file of an upload may be rejected, whichever way it comes.
pub const REJECTED: &[ErrorCode] = &[
    ErrorCode::InvalidName,
    ErrorCode::EmptyFile,
    ErrorCode::TooLarge,
    ErrorCode::UnsupportedType,
    ErrorCode::UnsupportedCodec,
    ErrorCode::CorruptImage,
    ErrorCode::CorruptVideo,
    ErrorCode::NoVideoTrack,
    ErrorCode::TooSmall,
    ErrorCode::TooManyPixels,
    ErrorCode::ProcessingFailed,
    ErrorCode::Busy,
    ErrorCode::StorageFull,
];

/// Size of an upload's body beyond the file, in bytes: part headers, name and description.
const FORM_OVERHEAD: usize = 64 * 1024;

/// Maximum size of a text field, in bytes. A description of 2000 characters of 4 bytes each fits.
const MAX_TEXT_BYTES: usize = 8 * 1024;

/// The added media, or the one that has the same bytes.
#[derive(Serialize, JsonSchema)]
pub struct UploadResponse {
    #[serde(flatten)]
    pub media: MediaResponse,
    /// Whether the gallery had these bytes already.
    pub duplicate: bool,
}

pub struct UploadAnswer {
    status: StatusCode,
    body: UploadResponse,
}

/// The form, which is only read once the upload may begin.
pub struct UploadForm(Result<Multipart, MultipartRejection>);

pub struct IdempotencyKey(Option<String>);

/// Adds a picture or a clip. The multipart form has the part `file` and optionally `name` and `description`. 201 with the
/// media; 202 if it is still pending, because the first attempt to process it failed; 200 with `duplicate: true` if the
/// gallery has the same bytes already. A request that is repeated with its `Idempotency-Key` is answered like the first.
/// Nothing of a rejected upload is kept.
pub async fn upload(
    State(ingest): State<Arc<Ingest>>,
    State(storage): State<Arc<Storage>>,
    State(db): State<PgPool>,
    State(limits): State<UploadLimits>,
    Uploader(access): Uploader,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    UploadForm(form): UploadForm,
) -> Result<UploadAnswer, ApiError> {
    let _place = limits.begin(access.account.id)?;
    let mut form = form.map_err(|_| bad_multipart("the body must be a multipart form"))?;
    let (mut file, mut name, mut description) = (None, None, None);
    while let Some(field) = form.next_field().await.map_err(|error| read_error(&error, limits.max_bytes()))? {
        match field.name() {
            Some("file") if file.is_none() => file = Some(receive_file(&storage, field, limits.max_bytes()).await?),
            Some("name") if name.is_none() => name = Some(read_text(field, limits.max_bytes()).await?),
            Some("description") if description.is_none() => {
                description = Some(read_text(field, limits.max_bytes()).await?);
            }
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
        idempotency_key,
    };
    let added = ingest.add(upload).await?;
    let (Added::New(id) | Added::Duplicate(id) | Added::Repeated(id)) = added;
    let media = db::retried(|| media::find(&db, id)).await?.ok_or_else(ApiError::not_found)?;
    let status = match (added, media.status) {
        (Added::Duplicate(_), _) => StatusCode::OK,
        (_, Status::Pending) => StatusCode::ACCEPTED,
        _ => StatusCode::CREATED,
    };
    let duplicate = matches!(added, Added::Duplicate(_));
    let media = MediaResponse::new(media, &storage).await?;
    Ok(UploadAnswer { status, body: UploadResponse { media, duplicate } })
}

/// Streams the file to the spool and hashes it. Returns it with the file name that the client sent.
pub async fn receive_file(
    storage: &Storage,
    mut field: Field<'_>,
    limit: u64,
) -> Result<(ReceivedFile, Option<String>), ApiError> {
    let file_name = field.file_name().filter(|name| !name.is_empty()).map(str::to_owned);
    let (file, path) = storage.spool_file().await?.into_parts();
    let mut file = tokio::fs::File::from_std(file);
    let (mut size, mut hash) = (0_u64, digest::Context::new(&digest::SHA256));
    while let Some(chunk) = field.chunk().await.map_err(|error| read_error(&error, limit))? {
        size += chunk.len() as u64;
        if size > limit {
            return Err(too_large(limit));
        }
        metrics().received(chunk.len() as u64);
        hash.update(&chunk);
        file.write_all(&chunk).await.map_err(StorageError::from)?;
    }
    file.flush().await.map_err(StorageError::from)?;
    if size == 0 {
        return Err(ValidationError::EmptyFile.into());
    }
    Ok((ReceivedFile { path, size, sha256: hash.finish().as_ref().to_vec() }, file_name))
}

async fn read_text(mut field: Field<'_>, limit: u64) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| read_error(&error, limit))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_TEXT_BYTES {
            return Err(bad_multipart("a text field is too long"));
        }
    }
    String::from_utf8(bytes).map_err(|_| bad_multipart("a text field is not UTF-8"))
}

pub fn read_error(error: &MultipartError, limit: u64) -> ApiError {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large(limit);
    }
    let sources = std::iter::successors(error.source(), |&error| error.source());
    if sources.into_iter().any(|source| source.is::<TooSlow>()) {
        return ApiError::from_status(StatusCode::REQUEST_TIMEOUT);
    }
    bad_multipart("the form is malformed or incomplete")
}

fn too_large(limit: u64) -> ApiError {
    ValidationError::TooLarge { limit }.into()
}

pub fn bad_multipart(message: &str) -> ApiError {
    ApiError::new(ErrorCode::BadMultipart, message)
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    /// The draft of the header (draft-ietf-httpapi-idempotency-key-header-07) has a quoted string; many clients send it without
    /// the quotes.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get(IDEMPOTENCY_KEY) else { return Ok(Self(None)) };
        let text = value.to_str().unwrap_or_default().trim_matches('"');
        if (1..=MAX_KEY_CHARS).contains(&text.len()) {
            return Ok(Self(Some(text.to_owned())));
        }
        let message = "Idempotency-Key must have 1 to 255 visible ASCII characters";
        Err(ApiError::new(ErrorCode::InvalidIdempotencyKey, message))
    }
}

impl Input for IdempotencyKey {
    fn describe(operation: &mut Operation<'_>) {
        let description = "A text that no other upload of this account has: a request that is repeated with it is answered like \
                           the first, and adds nothing";
        let schema = json!({ "type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARS });
        operation.header("Idempotency-Key", false, description, schema);
        operation.errors(&[ErrorCode::InvalidIdempotencyKey, ErrorCode::IdempotencyKeyReused]);
    }
}

impl<S: Send + Sync> FromRequest<S> for UploadForm {
    type Rejection = Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Infallible> {
        Ok(Self(Multipart::from_request(request, state).await))
    }
}

impl Input for UploadForm {
    fn describe(operation: &mut Operation<'_>) {
        let form = json!({
            "type": "object",
            "required": ["file"],
            "additionalProperties": false,
            "properties": {
                "file": { "type": "string", "format": "binary", "minLength": 1, "description": "A picture or a clip" },
                "name": {
                    "type": "string",
                    "description": "The file name of the part `file` if missing",
                    "minLength": 1,
                    "maxLength": validate::MAX_NAME_CHARS,
                    "pattern": validate::NAME_PATTERN,
                },
                "description": {
                    "type": "string",
                    "maxLength": validate::MAX_DESCRIPTION_CHARS,
                    "pattern": validate::DESCRIPTION_PATTERN,
                },
            },
        });
        operation.body("multipart/form-data", form);
        operation.errors(&[ErrorCode::BadMultipart, ErrorCode::MissingFile, ErrorCode::InvalidDescription]);
        operation.errors(REJECTED);
    }
}

impl IntoResponse for UploadAnswer {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}

impl Output for UploadAnswer {
    fn describe(operation: &mut Operation<'_>) {
        for status in [202, 200, 201] {
            operation.answers(status);
            operation.answer_json::<UploadResponse>();
        }
    }
}
