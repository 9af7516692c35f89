//! Media for people who are signed in. Everybody who is may see and remove everything: it is one shared gallery.

use std::error::Error;

use axum::{
    Json,
    extract::{
        Multipart, Path, Query, State,
        multipart::{Field, MultipartError},
        rejection::QueryRejection,
    },
    http::StatusCode,
};
use ring::digest;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::io::AsyncWriteExt;
use tower_http::timeout::TimeoutError;

use super::{auth::SignedIn, error::ApiError};
use crate::{
    intake::Received,
    media::{self, Media, MediaId, Status},
    state::AppState,
    storage::StorageKey,
    validate::{self, ValidationError},
};

/// Media a page has when the request does not say.
const DEFAULT_LIMIT: i64 = 50;

/// Media a page has at most.
const MAX_LIMIT: i64 = 100;

/// A text field's greatest length in bytes: a description of 2000 characters of four bytes fits.
const MAX_TEXT: usize = 8 * 1024;

/// A media as clients see it. URLs are relative to the service's address.
#[derive(Serialize)]
pub struct MediaView {
    id: String,
    name: String,
    description: String,
    #[serde(rename = "type")]
    kind: &'static str,
    status: Status,
    file_url: Option<String>,
    thumbnail_url: Option<String>,
    clipboard_url: Option<String>,
    size: Option<i64>,
    mime_type: Option<String>,
    width: Option<i32>,
    height: Option<i32>,
    ocr_text: Option<String>,
    uploader: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    tags: Vec<String>,
}

/// A page of media, the newest first.
#[derive(Serialize)]
pub struct Page {
    items: Vec<MediaView>,
    /// `before` for the next page; none on the last.
    next: Option<String>,
}

/// Which page.
#[derive(Deserialize)]
pub struct Paging {
    limit: Option<i64>,
    before: Option<String>,
}

/// `POST /api/media`: takes a picture in. Multipart: `file`, and optionally `name` and `description`.
///
/// # Errors
/// Each [`ValidationError`] under its code, 400 `bad_multipart`, 408 `timeout`; nothing is kept of a refused upload.
pub async fn upload(
    State(state): State<AppState>,
    SignedIn(account): SignedIn,
    form: Result<Multipart, axum::extract::multipart::MultipartRejection>,
) -> Result<(StatusCode, Json<MediaView>), ApiError> {
    let mut form = form.map_err(|_| bad_multipart("this address takes a multipart form"))?;
    let limit = state.max_upload_bytes;
    let reading = |error| reading_failed(&error, limit);
    let (mut file, mut name, mut description) = (None, None, None);
    while let Some(field) = form.next_field().await.map_err(reading)? {
        match field.name() {
            Some("file") if file.is_none() => file = Some(receive(&state, field).await?),
            Some("name") if name.is_none() => name = Some(text(field, limit).await?),
            Some("description") if description.is_none() => description = Some(text(field, limit).await?),
            Some("file" | "name" | "description") => return Err(bad_multipart("a part of the form is there twice")),
            _ => return Err(bad_multipart("the parts of the form are file, name and description")),
        }
    }
    let file = file.ok_or(ValidationError::MissingFile)?;
    let name = name.or(file.name).unwrap_or_else(|| "untitled".into());
    let id = state
        .intake
        .clone()
        .accept(Received {
            name: validate::name(&name)?.to_owned(),
            description: validate::description(&description.unwrap_or_default())?.to_owned(),
            uploader: account.id,
            ..file.received
        })
        .await?;
    let media = media::find(&state.db, id).await?.ok_or_else(ApiError::not_found)?;
    Ok((StatusCode::CREATED, Json(media.into())))
}

/// `GET /api/media`: a page of media, the newest first; `limit` up to 100, `before` an id.
///
/// # Errors
/// 400 `bad_paging`.
pub async fn list(
    State(state): State<AppState>,
    SignedIn(_): SignedIn,
    paging: Result<Query<Paging>, QueryRejection>,
) -> Result<Json<Page>, ApiError> {
    let wrong = || ApiError::bad_request("bad_paging", "limit is a number from 1 to 100, before is a media's id");
    let Query(Paging { limit, before }) = paging.map_err(|_| wrong())?;
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    let before = before.map(|id| id.parse()).transpose().map_err(|_| wrong())?;
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(wrong());
    }
    // One more than wanted tells whether there is another page.
    let mut media = media::list(&state.db, limit + 1, before).await?;
    let more = media.len() as i64 > limit;
    media.truncate(limit as usize);
    let next = media.last().filter(|_| more).map(|last| last.id.to_string());
    Ok(Json(Page { items: media.into_iter().map(Into::into).collect(), next }))
}

/// `GET /api/media/{id}`
///
/// # Errors
/// 404
pub async fn get(
    State(state): State<AppState>,
    SignedIn(_): SignedIn,
    Path(id): Path<String>,
) -> Result<Json<MediaView>, ApiError> {
    let media = media::find(&state.db, id.parse().map_err(|_| ApiError::not_found())?).await?;
    media.map(|media| Json(media.into())).ok_or_else(ApiError::not_found)
}

/// `DELETE /api/media/{id}`: removes the row, the original and the thumbnail.
///
/// # Errors
/// 404
pub async fn delete(
    State(state): State<AppState>,
    SignedIn(_): SignedIn,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let id = id.parse().map_err(|_| ApiError::not_found())?;
    let removed = state.intake.clone().remove(id).await?;
    if removed { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::not_found()) }
}

/// A received file and the name that came with it.
struct ReceivedFile {
    received: Received,
    name: Option<String>,
}

/// Writes the file to its temporary folder as it comes in, and counts and hashes it on the way.
async fn receive(state: &AppState, mut field: Field<'_>) -> Result<ReceivedFile, ApiError> {
    let limit = state.max_upload_bytes;
    let name = field.file_name().filter(|name| !name.is_empty()).map(str::to_owned);
    let declared_type = field.content_type().map(str::to_owned);
    let id = MediaId::generate();
    let incoming = state.storage.stage(id)?;
    let path = incoming.file("original");
    let mut file = fs_err::tokio::File::create(&path).await?;
    let (mut size, mut hash) = (0_u64, digest::Context::new(&digest::SHA256));
    while let Some(chunk) = field.chunk().await.map_err(|error| reading_failed(&error, limit))? {
        size += chunk.len() as u64;
        if size > limit {
            return Err(ValidationError::TooLarge { limit }.into());
        }
        hash.update(&chunk);
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    let received = Received {
        id,
        incoming,
        file: path,
        size,
        sha256: hash.finish().as_ref().to_vec(),
        name: String::new(),
        description: String::new(),
        declared_type,
        uploader: uuid::Uuid::nil(),
    };
    Ok(ReceivedFile { received, name })
}

async fn text(mut field: Field<'_>, limit: u64) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| reading_failed(&error, limit))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_TEXT {
            return Err(bad_multipart("a text of the form is too long"));
        }
    }
    String::from_utf8(bytes).map_err(|_| bad_multipart("a text of the form is not UTF-8"))
}

fn reading_failed(error: &MultipartError, limit: u64) -> ApiError {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return ValidationError::TooLarge { limit }.into();
    }
    let sources = std::iter::successors(error.source(), |&error| error.source());
    if sources.into_iter().any(|source| source.is::<TimeoutError>()) {
        return ApiError::of_status(StatusCode::REQUEST_TIMEOUT);
    }
    bad_multipart("the form breaks off or is not well-formed")
}

fn bad_multipart(message: &str) -> ApiError {
    ApiError::bad_request("bad_multipart", message)
}

impl From<Media> for MediaView {
    fn from(media: Media) -> Self {
        let url = |key: StorageKey| (media.status == Status::Ready).then(|| format!("/api/files/{key}"));
        Self {
            file_url: url(StorageKey::Original(media.id)),
            thumbnail_url: url(StorageKey::Thumbnail(media.id)),
            // No clipboard picture is made yet.
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
