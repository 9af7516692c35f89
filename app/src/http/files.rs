//! Stored files, for anybody who knows their address: ids cannot be guessed. Local storage only.

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
use tower::ServiceExt;
use tower_http::services::ServeFile;

use super::error::ApiError;
use crate::{
    media,
    state::AppState,
    storage::{Storage, StorageKey},
};

/// Bytes that RFC 5987 requires to be percent-encoded, and some more.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~');

/// `GET /api/files/uploads/{id}` and `GET /api/files/thumbs/{id}.webp`: the bytes, whole or by range.
///
/// # Errors
/// 404 for every other path and for media that are not ready.
pub async fn get(
    State(state): State<AppState>,
    Path(key): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let key: StorageKey = key.parse().map_err(|_| ApiError::not_found())?;
    let served = media::find_file_info(&state.db, key.media()).await?.ok_or_else(ApiError::not_found)?;
    let (mime_type, name, tag) = match key {
        StorageKey::Original(_) => (served.mime_type.as_str(), served.name.clone(), hex::encode(&served.sha256)),
        // Made from the original alone, so it changes when that does.
        StorageKey::Thumbnail(_) => {
            ("image/webp", format!("{}.webp", served.name), format!("{}-thumb", hex::encode(&served.sha256)))
        }
    };
    let headers = headers(mime_type, &name, &format!("\"{tag}\""))?;
    let mut response = if has_tag(request.headers(), &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let Storage::Local(local) = &*state.storage;
        let file = ServeFile::new(local.path(key));
        let response = file.oneshot(request).await.unwrap_or_else(|never| match never {});
        response.map(axum::body::Body::new)
    };
    if !response.status().is_client_error() {
        // In place of what was guessed from the path.
        response.headers_mut().extend(headers);
    }
    Ok(response)
}

/// Uploaded bytes are a stranger's: a browser shows them as what they were checked to be, and runs nothing in them.
fn headers(mime_type: &str, name: &str, tag: &str) -> Result<HeaderMap, ApiError> {
    let value = |text: &str| HeaderValue::from_str(text).map_err(ApiError::internal);
    Ok(HeaderMap::from_iter([
        (CONTENT_TYPE, value(mime_type)?),
        (CONTENT_DISPOSITION, value(&disposition(name))?),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
        (ETAG, value(tag)?),
    ]))
}

/// RFC 6266: the name in ASCII for old clients, then exactly.
fn disposition(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' ' { c } else { '_' })
        .collect();
    let exact = utf8_percent_encode(name, ENCODED);
    format!("inline; filename=\"{plain}\"; filename*=UTF-8''{exact}")
}

fn has_tag(headers: &HeaderMap, tag: &str) -> bool {
    let Some(wanted) = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()) else { return false };
    wanted
        .split(',')
        .map(|one| one.trim().trim_start_matches("W/").trim_matches('"'))
        .any(|one| one == tag || one == "*")
}

#[cfg(test)]
mod tests {
    use super::disposition;

    #[test]
    fn a_name_cannot_leave_its_quotes() {
        assert_eq!(
            disposition("a\"; x=\"Ä.jpg"),
            "inline; filename=\"a_; x=__.jpg\"; filename*=UTF-8''a%22%3B%20x%3D%22%C3%84.jpg"
        );
    }
}
