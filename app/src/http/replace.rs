//! `PUT /api/media/{id}/file`: gives a media another file.

use std::convert::Infallible;

use axum::{
    Json,
    extract::{FromRequest, Multipart, Request, State, multipart::MultipartRejection},
    http::header::ETAG,
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{
    access::Manager,
    changes::IfMatch,
    error::ApiError,
    media::MediaResponse,
    openapi::{Input, Operation, Output},
    state::AppState,
    upload::{REJECTED, UploadResponse, bad_multipart, read_error, receive_file},
    values::MediaPath,
};
use crate::{
    auth::Role,
    error_code::ErrorCode,
    media::{
        self,
        replacement::{self, Replaced},
    },
    validate::ValidationError,
};

/// A form with one part, the file, which is only read once the upload may begin.
pub struct FileForm(Result<Multipart, MultipartRejection>);

/// The media with its new file; `tag` is its version.
pub struct ReplacedAnswer {
    tag: String,
    body: UploadResponse,
}

/// Replaces the file of a media, which keeps its id, name, description and tags. The multipart form has the part `file`. 200 with
/// the media, once the new file is served in the place of the old one; with `duplicate: true` if it had these bytes already. With
/// `If-Match`, only if no other request changed it since. A file that is rejected changes nothing. Only its uploader and admins may.
pub async fn replace(
    State(AppState { ingest, storage, db, upload_limits: limits, files, .. }): State<AppState>,
    Manager(access): Manager,
    MediaPath(id): MediaPath,
    IfMatch(version): IfMatch,
    FileForm(form): FileForm,
) -> Result<ReplacedAnswer, ApiError> {
    let _place = limits.begin(access.account.id)?;
    // Before the file is received, which may be large.
    let media = media::find(&db, id).await?.ok_or_else(ApiError::not_found)?;
    // Its uploader may download the file as it was received, with its location.
    if access.account.id != media.uploader_id && access.role != Role::Admin {
        return Err(ApiError::forbidden("only its uploader and admins may replace a file"));
    }
    if let Some(refusal) = replacement::refusal(&media, version) {
        return Err(refused(refusal));
    }
    let mut form = form.map_err(|_| bad_multipart("the body must be a multipart form"))?;
    let mut received = None;
    while let Some(field) = form.next_field().await.map_err(|error| read_error(&error, limits.max_bytes()))? {
        if field.name() != Some("file") || received.is_some() {
            return Err(bad_multipart("the form may only have the part file, once"));
        }
        received = Some(receive_file(&storage, field, limits.max_bytes()).await?.0);
    }
    let replaced = ingest.replace(id, version, received.ok_or(ValidationError::MissingFile)?).await?;
    let duplicate = match replaced {
        Replaced::Done(old) => {
            old.into_iter().for_each(|file| files.forget(file));
            false
        }
        Replaced::Same => true,
        refusal => return Err(refused(refusal)),
    };
    let media = media::find(&db, id).await?.ok_or_else(ApiError::not_found)?;
    let tag = format!("\"{}\"", media.version);
    let media = MediaResponse::new(media, &storage).await?;
    Ok(ReplacedAnswer { tag, body: UploadResponse { media, duplicate } })
}

fn refused(refusal: Replaced) -> ApiError {
    match refusal {
        Replaced::Duplicate(other) => {
            ApiError::new(ErrorCode::Duplicate, format!("the media {other} has these bytes already"))
        }
        Replaced::Pending => ApiError::new(ErrorCode::Pending, "the file that the media has is not processed yet"),
        Replaced::OtherVersion => ApiError::other_version(),
        Replaced::NotFound => ApiError::not_found(),
        Replaced::Done(_) | Replaced::Same => ApiError::internal("a replacement that was done counts as refused"),
    }
}

impl<S: Send + Sync> FromRequest<S> for FileForm {
    type Rejection = Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Infallible> {
        Ok(Self(Multipart::from_request(request, state).await))
    }
}

impl Input for FileForm {
    fn describe(operation: &mut Operation<'_>) {
        let form = json!({
            "type": "object",
            "required": ["file"],
            "additionalProperties": false,
            "properties": {
                "file": { "type": "string", "format": "binary", "minLength": 1, "description": "A picture or a clip" },
            },
        });
        operation.body("multipart/form-data", form);
        operation.errors(&[ErrorCode::BadMultipart, ErrorCode::MissingFile]);
        operation.errors(REJECTED);
    }
}

impl IntoResponse for ReplacedAnswer {
    fn into_response(self) -> Response {
        ([(ETAG, self.tag)], Json(self.body)).into_response()
    }
}

impl Output for ReplacedAnswer {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer_json::<UploadResponse>();
        operation.answer_header("ETag", "The version, for `If-Match`");
    }
}
