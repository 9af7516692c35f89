//! `/api/media`: lists, searches and gets media. All accounts share one gallery: each can see all media.

mod filter;
mod response;

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
};
use futures_util::future::try_join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use time::OffsetDateTime;

pub use self::{
    filter::{FilterQuery, bad_filter, bad_query},
    response::{FileUrls, MediaResponse, VersionedMedia},
};
use super::{access::Reader, error::ApiError, values::MediaPath};
use crate::{
    error_code::ErrorCode,
    media::{
        MediaId, lifecycle,
        search::{self, Found, Start},
    },
    storage::{Storage, StorageError},
};

const DEFAULT_LIMIT: i64 = 50;

const MAX_LIMIT: i64 = 100;

/// How many tags one request is answered with.
const MAX_TAGS: i64 = 50;

/// Skipping takes PostgreSQL about 0.2 s for a million media.
const MAX_SKIP: i64 = 10_000_000;

const CURSOR: &str = r"^[0-9]{1,16}-[0-7][0-9A-HJKMNP-TV-Z]{25}$";

#[derive(Default, Serialize, JsonSchema)]
pub struct PageResponse {
    /// Newest first.
    items: Vec<ItemResponse>,
    /// The value of `before` for the next page; `null` on the last page.
    next: Option<String>,
    /// The value of `after` for the page before, whose items are newer; `null` on the first page.
    previous: Option<String>,
    /// Whether no media has the words of `q`, and the items have words that begin with each of them, or names or tags that are nearly
    /// `q`.
    nearly: bool,
}

#[derive(Serialize, JsonSchema)]
pub struct ItemResponse {
    #[serde(flatten)]
    media: MediaResponse,
    /// Text around the matches of `q`; `null` without `q`.
    fragment: Option<Vec<Segment>>,
}

/// A part of a fragment.
#[derive(Serialize, JsonSchema)]
pub struct Segment {
    text: String,
    /// Whether `q` has found it.
    is_match: bool,
}

/// Which page of a list.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PageQuery {
    /// How many items a page has at most; 50 if missing.
    #[schemars(range(min = 1, max = MAX_LIMIT))]
    limit: Option<i64>,
    /// `next` of the page before, or `before` of a month in the timeline.
    #[schemars(regex(pattern = CURSOR))]
    before: Option<String>,
    /// `previous` of a page: the page before that one. With it, `before` and `skip` do not count.
    #[schemars(regex(pattern = CURSOR))]
    after: Option<String>,
    /// How many items to leave out from there.
    #[schemars(range(min = 0, max = MAX_SKIP))]
    skip: Option<i64>,
}

/// Which tags.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TagsQuery {
    /// A text that they have, in any case; all have none.
    #[schemars(regex(pattern = filter::NO_NUL))]
    q: String,
}

#[derive(Serialize, JsonSchema)]
pub struct TagsResponse {
    /// 50 at most: those that begin with the text first, then the commonest.
    items: Vec<search::Count>,
}

/// `GET /api/media`: a page of media, newest first.
pub async fn list(
    State(db): State<PgPool>,
    State(storage): State<Arc<Storage>>,
    _: Reader,
    page: Result<Query<PageQuery>, QueryRejection>,
    filter: Result<Query<FilterQuery>, QueryRejection>,
) -> Result<Json<PageResponse>, ApiError> {
    let bad_paging = || {
        let message = "limit must be a number from 1 to 100, skip one from 0 to 10000000, before the `next` and after the \
                       `previous` of a page";
        ApiError::new(ErrorCode::BadPaging, message)
    };
    let Query(page) = page.map_err(|_| bad_paging())?;
    let Query(filter) = filter.map_err(|_| bad_query())?;
    let limit = page.limit.unwrap_or(DEFAULT_LIMIT);
    let cursor_of = |text: Option<String>| text.map(|text| parse_cursor(&text).ok_or_else(bad_paging)).transpose();
    let skip = page.skip.unwrap_or(0);
    let start = match (cursor_of(page.before)?, cursor_of(page.after)?) {
        (_, Some(after)) => Start::After(after),
        (None, None) if skip == 0 => Start::First,
        (place, None) => Start::Before { place, skip },
    };
    if !(1..=MAX_LIMIT).contains(&limit) || !(0..=MAX_SKIP).contains(&skip) {
        return Err(bad_paging());
    }
    let Some(mut filter) = filter.filter()? else { return Ok(Json(PageResponse::default())) };
    // One row more than requested shows whether there is a next page.
    let mut found = search::list(&db, &filter, limit + 1, start).await?;
    let nearly = found.is_empty() && !filter.words.is_empty() && matches!(start, Start::First);
    if nearly {
        let words = std::mem::take(&mut filter.words);
        if words.len() > 1 {
            filter.words = search::beginnings(&words);
            found = search::list(&db, &filter, limit + 1, start).await?;
        }
        if found.is_empty() {
            filter.words = Vec::new();
            filter.nearly = words;
            found = search::list(&db, &filter, limit + 1, start).await?;
        }
    }
    let more = found.len() as i64 > limit;
    let (has_previous, has_next) = match start {
        // The nearly matching ones have one page: their order says nothing.
        Start::First => (false, more && !nearly),
        Start::Before { .. } => (true, more),
        Start::After(_) => (more, true),
    };
    match start {
        Start::After(_) if more => drop(found.remove(0)),
        _ => found.truncate(limit as usize),
    }
    let place = |found: &Found| cursor(found.media.listed_at, found.media.id);
    Ok(Json(PageResponse {
        nearly: nearly && !found.is_empty(),
        next: found.last().filter(|_| has_next).map(place),
        previous: found.first().filter(|_| has_previous).map(place),
        // Side by side, because URLs may have to be signed.
        items: try_join_all(found.into_iter().map(|found| ItemResponse::new(found, &storage))).await?,
    }))
}

/// `GET /api/media/facets`: how many media of a filter, as in the list, have each type, tag and uploader.
pub async fn facets(
    State(db): State<PgPool>,
    _: Reader,
    query: Result<Query<FilterQuery>, QueryRejection>,
) -> Result<Json<search::Facets>, ApiError> {
    let Query(query) = query.map_err(|_| bad_query())?;
    let Some(filter) = query.filter()? else { return Ok(Json(search::Facets::default())) };
    Ok(Json(search::facets(&db, &filter).await?))
}

/// `GET /api/media/tags`: tags that have a text.
pub async fn tags(
    State(db): State<PgPool>,
    _: Reader,
    query: Result<Query<TagsQuery>, QueryRejection>,
) -> Result<Json<TagsResponse>, ApiError> {
    let bad = || filter::bad_filter("q must be a text without NUL");
    let Query(TagsQuery { q }) = query.map_err(|_| bad())?;
    if q.contains('\0') {
        return Err(bad());
    }
    Ok(Json(TagsResponse { items: search::tags(&db, q.trim(), MAX_TAGS).await? }))
}

/// `GET /api/media/{id}`, with its version as the entity tag.
pub async fn get(
    State(db): State<PgPool>,
    State(storage): State<Arc<Storage>>,
    _: Reader,
    MediaPath(id): MediaPath,
) -> Result<VersionedMedia, ApiError> {
    VersionedMedia::find(&db, &storage, id).await
}

/// `GET /api/media/sha256/{digest}`: the media that an upload of the bytes with this SHA-256, in hexadecimal digits, would be
/// answered with as a duplicate. A client with many files sends only those that are missing. Errors: 404.
pub async fn find_by_digest(
    State(db): State<PgPool>,
    State(storage): State<Arc<Storage>>,
    _: Reader,
    Path(digest): Path<String>,
) -> Result<VersionedMedia, ApiError> {
    let sha256 = hex::decode(digest).map_err(|_| ApiError::not_found())?;
    let id = lifecycle::find_same_bytes(&db, &sha256).await?.ok_or_else(ApiError::not_found)?;
    VersionedMedia::find(&db, &storage, id).await
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
pub fn cursor(listed_at: OffsetDateTime, id: MediaId) -> String {
    format!("{}-{id}", listed_at.unix_timestamp_nanos() / 1000)
}

fn parse_cursor(text: &str) -> Option<(OffsetDateTime, MediaId)> {
    let (micros, id) = text.split_once('-')?;
    let nanos = i128::from(micros.parse::<i64>().ok()?) * 1000;
    Some((OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?, id.parse().ok()?))
}
