//! A media as the API answers with it.

use axum::{
    Json,
    http::header::ETAG,
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::PgPool;
use time::{
    OffsetDateTime,
    format_description::well_known::{
        Iso8601,
        iso8601::{Config, FormattedComponents, TimePrecision},
    },
};

use crate::{
    http::{
        error::ApiError,
        openapi::{Operation, Output},
        values::Rfc3339 as Rfc3339Schema,
    },
    media::{self, Kind, Media, MediaId, Status},
    storage::{Storage, StorageError, StorageKey},
};

/// Seconds, and no offset.
const LOCAL_TIME: Iso8601<
    {
        Config::DEFAULT
            .set_formatted_components(FormattedComponents::DateTime)
            .set_time_precision(TimePrecision::Second { decimal_digits: None })
            .encode()
    },
> = Iso8601;

#[derive(Serialize, JsonSchema)]
pub struct MediaResponse {
    #[schemars(with = "MediaId")]
    id: String,
    name: String,
    description: String,
    #[serde(rename = "type")]
    kind: Kind,
    status: Status,
    /// Why it failed: a stable code; `null` unless failed.
    failure: Option<String>,
    /// `null` unless ready; relative to the service's origin if the service itself serves files.
    file_url: Option<String>,
    thumbnail_url: Option<String>,
    /// A PNG for the clipboard; `null` for clips.
    clipboard_url: Option<String>,
    /// In bytes.
    size: Option<i64>,
    mime_type: Option<String>,
    /// In pixels, as displayed.
    width: Option<i32>,
    /// In pixels, as displayed.
    height: Option<i32>,
    /// Base64 of a thumbhash: about 25 bytes that a client turns into a blurred placeholder.
    thumbhash: Option<String>,
    /// The camera's local time, ISO 8601 without an offset.
    captured_at: Option<String>,
    camera: Option<String>,
    /// In milliseconds; `null` for pictures, as the next two.
    duration_ms: Option<i64>,
    codec: Option<String>,
    has_audio: Option<bool>,
    ocr_text: Option<String>,
    /// User name.
    uploader: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Rfc3339Schema")]
    created_at: OffsetDateTime,
    /// The order of lists: when it became ready. Of a presigned upload whose file was not received, 1970.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Rfc3339Schema")]
    listed_at: OffsetDateTime,
    tags: Vec<String>,
    /// Whether the file as it was received tells where it was taken.
    has_location: bool,
    /// In the trash since then.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Rfc3339Schema>")]
    deleted_at: Option<OffsetDateTime>,
    /// Grows with each change: the value of `If-Match`.
    version: i32,
}

/// A media with its version as the entity tag.
pub struct VersionedMedia(MediaResponse);

/// Where a browser gets the files of a media.
#[derive(Default, Serialize, JsonSchema)]
pub struct FileUrls {
    /// `null` unless ready, as the others; relative to the service's origin if the service itself serves files.
    pub file_url: Option<String>,
    pub thumbnail_url: Option<String>,
    /// A PNG for the clipboard; `null` for clips.
    pub clipboard_url: Option<String>,
}

impl MediaResponse {
    pub async fn new(media: Media, storage: &Storage) -> Result<Self, StorageError> {
        let urls = match media.status {
            Status::Ready => FileUrls::new(storage, media.file, media.has_clipboard, media.updated_at).await?,
            Status::Pending | Status::Failed => FileUrls::default(),
        };
        Ok(Self {
            file_url: urls.file_url,
            thumbnail_url: urls.thumbnail_url,
            clipboard_url: urls.clipboard_url,
            id: media.id.to_string(),
            name: media.name,
            description: media.description,
            kind: media.kind,
            status: media.status,
            failure: media.failure,
            size: media.size,
            mime_type: media.mime_type,
            width: media.width,
            height: media.height,
            thumbhash: media.thumbhash.map(|hash| BASE64_STANDARD.encode(hash)),
            captured_at: media.captured_at.and_then(|at| at.format(&LOCAL_TIME).ok()),
            camera: media.camera,
            duration_ms: media.duration_ms,
            codec: media.codec,
            has_audio: media.has_audio,
            ocr_text: media.ocr_text,
            uploader: media.uploader,
            created_at: media.created_at,
            listed_at: media.listed_at,
            tags: media.tags,
            has_location: media.has_location,
            deleted_at: media.deleted_at,
            version: media.version,
        })
    }
}

impl VersionedMedia {
    pub async fn find(db: &PgPool, storage: &Storage, id: MediaId) -> Result<Self, ApiError> {
        let media = media::find(db, id).await?.ok_or_else(ApiError::not_found)?;
        Ok(Self(MediaResponse::new(media, storage).await?))
    }
}

impl IntoResponse for VersionedMedia {
    fn into_response(self) -> Response {
        ([(ETAG, format!("\"{}\"", self.0.version))], Json(self.0)).into_response()
    }
}

impl Output for VersionedMedia {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer_json::<MediaResponse>();
        operation.answer_header("ETag", "The version, for `If-Match`");
    }
}

impl FileUrls {
    /// Those of a media that is ready. `file` is the id of its stored objects.
    pub async fn new(
        storage: &Storage,
        file: MediaId,
        has_clipboard: bool,
        updated_at: OffsetDateTime,
    ) -> Result<Self, StorageError> {
        // Browsers keep what they got, and a change may have replaced it.
        let version = updated_at.unix_timestamp_nanos().to_string();
        let clipboard_url = async {
            match has_clipboard {
                true => storage.url(StorageKey::Clipboard(file), &version).await.map(Some),
                false => Ok(None),
            }
        };
        let (file_url, thumbnail_url, clipboard_url) = tokio::try_join!(
            storage.url(StorageKey::Original(file), &version),
            storage.url(StorageKey::Thumbnail(file), &version),
            clipboard_url,
        )?;
        Ok(Self { file_url: Some(file_url), thumbnail_url: Some(thumbnail_url), clipboard_url })
    }
}
