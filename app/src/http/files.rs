//! `/api/files`: serves stored files without authentication; the random ids cannot be guessed. Local storage only.

use std::sync::Arc;

use axum::{
    extract::{Path, Request, State},
    http::{
        HeaderValue, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH,
        },
    },
    response::{IntoResponse, Response},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::PgPool;
use tower::ServiceExt;
use tower_http::services::ServeFile;

use super::error::ApiError;
use crate::{
    media,
    storage::{Storage, StorageKey},
};

/// Bytes that RFC 5987 requires to be percent-encoded, and some more.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~');

/// `GET /api/files/uploads/{id}` and `GET /api/files/thumbs/{id}.webp`: the whole file or a range. Errors: 404 for any other
/// path and for media that is not ready.
pub async fn get(
    State(db): State<PgPool>,
    State(storage): State<Arc<Storage>>,
    Path(key): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let key: StorageKey = key.parse().map_err(|_| ApiError::not_found())?;
    let file = media::find_file_info(&db, key.media()).await?.ok_or_else(ApiError::not_found)?;
    let (mime_type, name, tag) = match key {
        StorageKey::Original(_) => (file.mime_type.as_str(), file.name.clone(), hex::encode(&file.sha256)),
        // The thumbnail depends only on the original.
        StorageKey::Thumbnail(_) => {
            ("image/webp", format!("{}.webp", file.name), format!("{}-thumb", hex::encode(&file.sha256)))
        }
    };
    let headers = headers(mime_type, &name, &format!("\"{tag}\""))?;
    let mut response = if matches_etag(request.headers(), &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let Storage::Local(local) = &*storage;
        let response = ServeFile::new(local.path(key)).oneshot(request).await.unwrap_or_else(|never| match never {});
        response.map(axum::body::Body::new)
    };
    if !response.status().is_client_error() {
        // Replaces the content type that `ServeFile` guesses from the path.
        response.headers_mut().extend(headers);
    }
    Ok(response)
}

/// Uploads are untrusted, so the browser must not detect another type in them and must not run scripts.
fn headers(mime_type: &str, name: &str, tag: &str) -> Result<HeaderMap, ApiError> {
    let value = |text: &str| HeaderValue::from_str(text).map_err(ApiError::internal);
    Ok(HeaderMap::from_iter([
        (CONTENT_TYPE, value(mime_type)?),
        (CONTENT_DISPOSITION, value(&content_disposition(name))?),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
        (ETAG, value(tag)?),
    ]))
}

/// RFC 6266: an ASCII name for old clients, then the exact name.
fn content_disposition(name: &str) -> String {
    let ascii: String = name
        .chars()
        .map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' ' { c } else { '_' })
        .collect();
    let exact = utf8_percent_encode(name, ENCODED);
    format!("inline; filename=\"{ascii}\"; filename*=UTF-8''{exact}")
}

fn matches_etag(headers: &HeaderMap, tag: &str) -> bool {
    let Some(etags) = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()) else { return false };
    etags
        .split(',')
        .map(|etag| etag.trim().trim_start_matches("W/").trim_matches('"'))
        .any(|etag| etag == tag || etag == "*")
}

#[cfg(test)]
mod tests {
    use super::content_disposition;

    #[test]
    fn quotes_in_a_name_are_escaped() {
        assert_eq!(
            content_disposition("a\"; x=\"Ä.jpg"),
            "inline; filename=\"a_; x=__.jpg\"; filename*=UTF-8''a%22%3B%20x%3D%22%C3%84.jpg"
        );
    }
}
