//! `/api/files`: serves stored files without authentication; the random ids cannot be guessed. Local storage only: a bucket
//! serves its objects itself.

pub mod conditions;
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
use serde_json::json;

use self::{
    conditions::{Answer, Representation},
    content::Content,
};
use super::{
    error::ApiError,
    openapi::{Operation, Output},
};
use crate::{
    error_code::ErrorCode,
    file_infos::FileInfos,
    media::FileInfo,
    storage::{Storage, StorageKey},
};

/// A stored file or a part of it, under the conditions of the request.
pub struct FileResponse(Response);

/// `GET /api/files/{key}`: the whole file or a range, by RFC 9110. 404 for any other path and for media that is not ready.
pub async fn get(
    State(infos): State<Arc<FileInfos>>,
    State(storage): State<Arc<Storage>>,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Result<FileResponse, ApiError> {
    let key: StorageKey = key.parse().map_err(|_| ApiError::not_found())?;
    if matches!(key, StorageKey::Private(_)) {
        return Err(ApiError::not_found());
    }
    let Storage::Local(local) = &*storage else { return Err(ApiError::not_found()) };
    let info = infos.find(key.media()).await?.ok_or_else(ApiError::not_found)?;
    let content = Content::open(local.path(key)).await?.ok_or_else(ApiError::not_found)?;
    // A URL without a version stays the same when the file is replaced.
    let has_version = query.is_some_and(|query| query.starts_with("v="));
    let file = File {
        tag: tag(key, &info, &content),
        content,
        name: &info.name,
        mime_type: key.content_type().unwrap_or(&info.mime_type),
        cache_control: if has_version { key.cache_control() } else { "private, no-cache" },
    };
    file.answer(&method, &headers).await
}

/// A file that a user uploaded, or what was derived of it.
struct File<'a> {
    content: Content,
    /// A strong entity tag, with quotes.
    tag: String,
    name: &'a str,
    mime_type: &'a str,
    cache_control: &'a str,
}

impl File<'_> {
    /// The whole file or a range, under the conditions of the request.
    async fn answer(self, method: &Method, headers: &HeaderMap) -> Result<FileResponse, ApiError> {
        let Self { content, tag, name, mime_type, cache_control } = self;
        let size = content.size;
        let representation = Representation { tag, modified: content.modified, size };
        let answer = conditions::evaluate(method, headers, &representation);

        let mut response = match &answer {
            Answer::Failed => return Err(ApiError::from_status(StatusCode::PRECONDITION_FAILED)),
            Answer::NotModified => StatusCode::NOT_MODIFIED.into_response(),
            Answer::Unsatisfiable => ApiError::from_status(StatusCode::RANGE_NOT_SATISFIABLE).into_response(),
            Answer::Whole | Answer::Part(_) if method == Method::HEAD => Body::empty().into_response(),
            Answer::Whole => content.body(0..size).into_response(),
            Answer::Part(range) => (StatusCode::PARTIAL_CONTENT, content.body(range.clone())).into_response(),
        };
        let mut set = |name: HeaderName, text: &str| -> Result<(), ApiError> {
            response.headers_mut().insert(name, HeaderValue::from_str(text).map_err(ApiError::internal)?);
            Ok(())
        };
        match &answer {
            Answer::Whole => set(CONTENT_LENGTH, &size.to_string())?,
            Answer::Part(range) => {
                set(CONTENT_LENGTH, &(range.end - range.start).to_string())?;
                set(CONTENT_RANGE, &format!("bytes {}-{}/{size}", range.start, range.end - 1))?;
            }
            Answer::Unsatisfiable => {
                set(CONTENT_RANGE, &format!("bytes */{size}"))?;
                return Ok(FileResponse(response));
            }
            Answer::Failed | Answer::NotModified => {}
        }
        set(ETAG, &representation.tag)?;
        set(LAST_MODIFIED, &httpdate::fmt_http_date(representation.modified))?;
        set(CACHE_CONTROL, cache_control)?;
        if answer != Answer::NotModified {
            set(ACCEPT_RANGES, "bytes")?;
            set(CONTENT_TYPE, mime_type)?;
            set(CONTENT_DISPOSITION, &disposition::inline(name, mime_type))?;
            // Uploads are untrusted: nothing in them may run or load anything.
            set(CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox")?;
        }
        Ok(FileResponse(response))
    }
}

impl IntoResponse for FileResponse {
    fn into_response(self) -> Response {
        self.0
    }
}

impl Output for FileResponse {
    fn describe(operation: &mut Operation<'_>) {
        let mut header = |name, description| operation.header(name, false, description, json!({ "type": "string" }));
        header("Range", "The bytes that are wanted, such as `bytes=0-1023`; of several ranges, the whole file is sent");
        header("If-Range", "The entity tag for which `Range` holds; of another one, the whole file is sent");
        header("If-None-Match", "Entity tags of what the client has kept");
        header("If-Modified-Since", "The time of what the client has kept");
        header("If-Match", "Entity tags that the file must have");
        operation.answers(304);
        for status in [206, 200] {
            operation.answers(status);
            operation.answer_content("image/*", json!({}));
            operation.answer_content("video/*", json!({}));
            operation
                .answer_header("Content-Disposition", "`inline`, with the name and the extension of the real type");
        }
        operation.errors(&[ErrorCode::PreconditionFailed, ErrorCode::BadRange]);
    }
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
