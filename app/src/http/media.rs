//! `/api/media`: lists, searches and gets media. All accounts share one gallery: each can see all media.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequestParts, Path, Query, State, rejection::QueryRejection},
    http::{header::ETAG, request::Parts},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use time::{
    OffsetDateTime,
    format_description::well_known::{
        Iso8601, Rfc3339,
        iso8601::{Config, FormattedComponents, TimePrecision},
    },
};

use super::{access::Reader, error::ApiError};
use crate::{
    media::{
        self, Kind, Media, MediaId, Status,
        search::{self, Filter, Found},
    },
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

const DEFAULT_LIMIT: i64 = 50;

const MAX_LIMIT: i64 = 100;

#[derive(Serialize)]
pub struct MediaResponse {
    id: String,
    name: String,
    description: String,
    #[serde(rename = "type")]
    kind: Kind,
    status: Status,
    /// Why it failed: a stable code; `None` unless failed.
    failure: Option<String>,
    /// `None` unless ready; relative to the service's origin if the service itself serves files.
    file_url: Option<String>,
    thumbnail_url: Option<String>,
    /// A PNG for the clipboard; `None` for clips.
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
    /// In milliseconds; `None` for pictures, as the next two.
    duration_ms: Option<i64>,
    codec: Option<String>,
    has_audio: Option<bool>,
    ocr_text: Option<String>,
    /// User name.
    uploader: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    tags: Vec<String>,
    /// Whether the file as it was received tells where it was taken.
    has_location: bool,
    /// In the trash since then.
    #[serde(with = "time::serde::rfc3339::option")]
    deleted_at: Option<OffsetDateTime>,
    /// Grows with each change: the value of `If-Match`.
    version: i32,
}

#[derive(Default, Serialize)]
pub struct PageResponse {
    /// Newest first.
    items: Vec<ItemResponse>,
    /// The value of `before` for the next page; `None` on the last page.
    next: Option<String>,
    /// Whether no media has the words of `q`, and the items have names or tags that are nearly `q`.
    nearly: bool,
}

#[derive(Serialize)]
pub struct ItemResponse {
    #[serde(flatten)]
    media: MediaResponse,
    /// Text around the matches of `q`; `None` without `q`.
    fragment: Option<Vec<Segment>>,
}

/// A part of a fragment.
#[derive(Serialize)]
pub struct Segment {
    text: String,
    /// Whether `q` has found it.
    is_match: bool,
}

/// The query string of a list. It has single values; `tag` holds several, separated by commas.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct ListQuery {
    /// 1 to [`MAX_LIMIT`].
    limit: Option<i64>,
    /// `next` of the page before.
    before: Option<String>,
    /// Words that the name, the description, the tags or the recognised text have.
    q: Option<String>,
    /// `image` or `video`.
    r#type: Option<String>,
    tag: Option<String>,
    /// A user name.
    uploader: Option<String>,
    /// RFC 3339; listed then or later.
    from: Option<String>,
    /// RFC 3339; listed before.
    to: Option<String>,
    /// What is in the trash instead.
    trash: bool,
}

/// `GET /api/media`: a page of media, newest first. Errors: 400 `bad_paging`, 400 `bad_filter`.
pub async fn list(
    State(db): State<PgPool>,
    State(storage): State<Arc<Storage>>,
    _: Reader,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<PageResponse>, ApiError> {
    let bad_paging = || {
        ApiError::bad_request("bad_paging", "limit must be a number from 1 to 100, before must be the `next` of a page")
    };
    let Query(query) = query.map_err(|_| bad_paging())?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    let before = query.before.as_deref().map(|cursor| parse_cursor(cursor).ok_or_else(bad_paging)).transpose()?;
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(bad_paging());
    }
    let Some(mut filter) = query.filter()? else { return Ok(Json(PageResponse::default())) };
    // One row more than requested shows whether there is a next page.
    let mut found = search::list(&db, &filter, limit + 1, before).await?;
    let nearly = found.is_empty() && !filter.words.is_empty() && before.is_none();
    if nearly {
        filter.nearly = std::mem::take(&mut filter.words);
        found = search::list(&db, &filter, limit + 1, before).await?;
    }
    let more = found.len() as i64 > limit;
    found.truncate(limit as usize);
    // The nearly matching ones have one page: their order says nothing.
    let next = found.last().filter(|_| more && !nearly).map(|last| cursor(&last.media));
    let mut page = PageResponse { nearly: nearly && !found.is_empty(), next, items: Vec::with_capacity(found.len()) };
    for found in found {
        page.items.push(ItemResponse::new(found, &storage).await?);
    }
    Ok(Json(page))
}

/// `GET /api/media/facets`: how many media of a filter, as in the list, have each type, tag and uploader. Errors: as the list.
pub async fn facets(
    State(db): State<PgPool>,
    _: Reader,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<search::Facets>, ApiError> {
    let Query(query) = query.map_err(|_| bad_filter("the query string is malformed"))?;
    let Some(filter) = query.filter()? else { return Ok(Json(search::Facets::default())) };
    Ok(Json(search::facets(&db, &filter).await?))
}

/// `GET /api/media/{id}`, with its version as the entity tag. Errors: 404.
pub async fn get(
    State(db): State<PgPool>,
    State(storage): State<Arc<Storage>>,
    _: Reader,
    MediaPath(id): MediaPath,
) -> Result<Response, ApiError> {
    with_version(&db, &storage, id).await
}

/// A media with its version as the entity tag.
pub async fn with_version(db: &PgPool, storage: &Storage, id: MediaId) -> Result<Response, ApiError> {
    let media = media::find(db, id).await?.ok_or_else(ApiError::not_found)?;
    let tag = format!("\"{}\"", media.version);
    Ok(([(ETAG, tag)], Json(MediaResponse::new(media, storage).await?)).into_response())
}

/// The id in a path. Rejects anything else with 404.
pub struct MediaPath(pub MediaId);

impl<S: Send + Sync> FromRequestParts<S> for MediaPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(id) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| ApiError::not_found())?;
        id.parse().map(Self).map_err(|_| ApiError::not_found())
    }
}

impl ListQuery {
    /// The filter; `None` if nothing can match: a question of no letters and digits.
    fn filter(&self) -> Result<Option<Filter>, ApiError> {
        let time = |text: &Option<String>| {
            let parsed = text.as_deref().map(|text| OffsetDateTime::parse(text, &Rfc3339)).transpose();
            parsed.map_err(|_| bad_filter("from and to must be times such as 2026-01-31T12:00:00Z"))
        };
        let text = |text: &Option<String>| match text {
            Some(text) if text.contains('\0') => Err(bad_filter("the query string must not contain NUL")),
            text => Ok(text.clone()),
        };
        let question = self.q.as_deref().map(str::trim).filter(|question| !question.is_empty());
        let words = question.map(search::words).unwrap_or_default();
        if question.is_some() && words.is_empty() {
            return Ok(None);
        }
        let kind = self.r#type.as_deref().map(str::parse).transpose();
        let tags = text(&self.tag)?.unwrap_or_default();
        Ok(Some(Filter {
            words,
            nearly: Vec::new(),
            kind: kind.map_err(|()| bad_filter("type must be image or video"))?,
            tags: tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect(),
            uploader: text(&self.uploader)?,
            from: time(&self.from)?,
            to: time(&self.to)?,
            trash: self.trash,
        }))
    }
}

fn bad_filter(message: &str) -> ApiError {
    ApiError::bad_request("bad_filter", message)
}

impl ItemResponse {
    async fn new(found: Found, storage: &Storage) -> Result<Self, StorageError> {
        let fragment = found.fragment.map(|fragment| {
            // Matches are between U+0002 and U+0003, so every second part is one.
            let parts = fragment.split(['\u{2}', '\u{3}']).enumerate();
            let segments = parts.map(|(place, text)| Segment { text: text.to_owned(), is_match: place % 2 == 1 });
            segments.filter(|segment| !segment.text.is_empty()).collect()
        });
        Ok(Self { media: MediaResponse::new(found.media, storage).await?, fragment })
    }
}

/// The position after a media in the order of the gallery: microseconds since 1970 and the id.
fn cursor(media: &Media) -> String {
    format!("{}-{}", media.listed_at.unix_timestamp_nanos() / 1000, media.id)
}

fn parse_cursor(text: &str) -> Option<(OffsetDateTime, MediaId)> {
    let (micros, id) = text.split_once('-')?;
    let nanos = i128::from(micros.parse::<i64>().ok()?) * 1000;
    Some((OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?, id.parse().ok()?))
}

impl MediaResponse {
    pub async fn new(media: Media, storage: &Storage) -> Result<Self, StorageError> {
        // Browsers keep what they got, and a change may have replaced it.
        let version = media.updated_at.unix_timestamp_nanos().to_string();
        let (mut file_url, mut thumbnail_url, mut clipboard_url) = (None, None, None);
        if media.status == Status::Ready {
            file_url = Some(storage.url(StorageKey::Original(media.file), &version).await?);
            thumbnail_url = Some(storage.url(StorageKey::Thumbnail(media.file), &version).await?);
            if media.has_clipboard {
                clipboard_url = Some(storage.url(StorageKey::Clipboard(media.file), &version).await?);
            }
        }
        Ok(Self {
            file_url,
            thumbnail_url,
            clipboard_url,
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
            tags: media.tags,
            has_location: media.has_location,
            deleted_at: media.deleted_at,
            version: media.version,
        })
    }
}
