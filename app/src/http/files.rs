//! `/api/files`: serves stored files without authentication; the random ids cannot be guessed. Local storage only: a bucket
//! serves its objects itself.

mod conditions;
mod content;
mod disposition;
pub mod original;

use std::{sync::Arc, time::UNIX_EPOCH};

use axum::{
    body::Body,
    extract::{Path, RawQuery, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
        header::{
            ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
            CONTENT_TYPE, ETAG, LAST_MODIFIED,
        },
    },
    response::{IntoResponse, Response},
};

use self::{
    conditions::{Answer, Representation},
    content::Content,
};
use super::error::ApiError;
use crate::{
    file_infos::FileInfos,
    media::FileInfo,
    storage::{Storage, StorageKey},
};

/// `GET /api/files/{key}`: the whole file or a range, by RFC 9110. Errors: 404 for any other path and for media that is not
/// ready, 412, 416.
pub async fn get(
    State(infos): State<Arc<FileInfos>>,
    State(storage): State<Arc<Storage>>,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let key: StorageKey = key.parse().map_err(|_| ApiError::not_found())?;
    if matches!(key, StorageKey::Private(_)) {
        return Err(ApiError::not_found());
    }
    let Storage::Local(local) = &*storage else { return Err(ApiError::not_found()) };
    let info = infos.find(key.media()).await?.ok_or_else(ApiError::not_found)?;
    let content = Content::open(local.path(key)).await?.ok_or_else(ApiError::not_found)?;
    let representation =
        Representation { tag: tag(key, &info, &content), modified: content.modified, size: content.size };
    let answer = conditions::evaluate(&method, &headers, &representation);

    let mut response = match &answer {
        Answer::Failed => return Err(ApiError::from_status(StatusCode::PRECONDITION_FAILED)),
        Answer::NotModified => StatusCode::NOT_MODIFIED.into_response(),
        Answer::Unsatisfiable => ApiError::from_status(StatusCode::RANGE_NOT_SATISFIABLE).into_response(),
        Answer::Whole | Answer::Part(_) if method == Method::HEAD => Body::empty().into_response(),
        Answer::Whole => content.read(0..representation.size).await?.into_response(),
        Answer::Part(range) => (StatusCode::PARTIAL_CONTENT, content.read(range.clone()).await?).into_response(),
    };
    let mut set = |name: HeaderName, text: &str| -> Result<(), ApiError> {
        response.headers_mut().insert(name, HeaderValue::from_str(text).map_err(ApiError::internal)?);
        Ok(())
    };
    let size = representation.size;
    match &answer {
        Answer::Whole => set(CONTENT_LENGTH, &size.to_string())?,
        Answer::Part(range) => {
            set(CONTENT_LENGTH, &(range.end - range.start).to_string())?;
            set(CONTENT_RANGE, &format!("bytes {}-{}/{size}", range.start, range.end - 1))?;
        }
        Answer::Unsatisfiable => {
            set(CONTENT_RANGE, &format!("bytes */{size}"))?;
            return Ok(response);
        }
        Answer::Failed | Answer::NotModified => {}
    }
    set(ETAG, &representation.tag)?;
    set(LAST_MODIFIED, &httpdate::fmt_http_date(representation.modified))?;
    // A URL without a version stays the same when the file is replaced.
    let has_version = query.is_some_and(|query| query.starts_with("v="));
    set(CACHE_CONTROL, if has_version { key.cache_control() } else { "private, no-cache" })?;
    if answer != Answer::NotModified {
        let mime_type = key.content_type().unwrap_or(&info.mime_type);
        set(ACCEPT_RANGES, "bytes")?;
        set(CONTENT_TYPE, mime_type)?;
        set(CONTENT_DISPOSITION, &disposition::inline(&info.name, mime_type))?;
        // Uploads are untrusted: nothing in them may run or load anything.
        set(CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox")?;
    }
    Ok(response)
}

/// A derived file can be made again from the same original, so its time tells versions apart.
fn tag(key: StorageKey, info: &FileInfo, content: &Content) -> String {
    match key {
        StorageKey::Original(_) => format!("\"{}\"", hex::encode(&info.sha256)),
        _ => {
            let modified = content.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
            format!("\"{:x}-{:x}\"", modified.as_nanos(), content.size)
        }
    }
}
