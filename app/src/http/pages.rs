//! The web UI: the built files of the folder that `STATIC_DIR` names.

use std::{path::Path, time::Duration};

use anyhow::Context;
use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LAST_MODIFIED, REFERRER_POLICY,
            VARY,
        },
    },
    response::{IntoResponse, Response},
};
use ring::digest;
use time::OffsetDateTime;
use tower::ServiceExt as _;
use tower_http::services::ServeDir;

use super::{error::ApiError, state::Site};
use crate::{
    media::MediaId,
    storage::{Storage, StorageKey, UploadUrl},
};

/// Their names have a hash of their content.
const HASHED: &str = "/assets/";

/// The files of the UI. Cheap to clone.
#[derive(Clone)]
pub struct Pages {
    files: ServeDir,
    index: Bytes,
    /// Where its head ends.
    head_end: usize,
    /// Of the index. Its time tells nothing: in an image, all files have the same one.
    tag: HeaderValue,
    policy: HeaderValue,
}

impl Pages {
    /// Reads the index. The service has to be started again to serve another build. Pages may also talk to the origin `accounts`, which
    /// is that of the accounts, if the service does not keep them.
    ///
    /// # Errors
    /// If the folder has no `index.html`, or that has no head.
    pub async fn open(folder: &Path, storage: &Storage, accounts: Option<&str>) -> anyhow::Result<Self> {
        let index = fs_err::tokio::read(folder.join("index.html")).await?;
        let head_end = index.windows(7).position(|part| part == b"</head>");
        let head_end = head_end.context("index.html has no </head>")?;
        let tag = format!("\"{}\"", hex::encode(digest::digest(&digest::SHA256, &index)));
        let files =
            storage.url(StorageKey::Original(MediaId::generate()), "0").await.context("the storage has no URLs")?;
        // Objects may be served from elsewhere than where clients put them.
        let upload = UploadUrl {
            id: MediaId::generate(),
            content_type: "image/jpeg",
            length: None,
            begins_at: OffsetDateTime::now_utc().truncate_to_second(),
            life: Duration::from_secs(1),
        };
        let uploads = storage.upload_url(&upload).await.context("the storage signs no URLs")?;
        Ok(Self {
            files: ServeDir::new(folder)
                .append_index_html_on_directories(false)
                .precompressed_br()
                .precompressed_gzip(),
            index: index.into(),
            head_end,
            tag: HeaderValue::try_from(tag)?,
            policy: HeaderValue::try_from(policy(origin(&files), uploads.as_deref().and_then(origin), accounts))?,
        })
    }

    /// The page of every path: the UI's own router tells them apart.
    pub fn index(&self, request: &HeaderMap) -> Response {
        let known = request.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_same = known.split(',').any(|tag| tag.trim().trim_start_matches("W/").as_bytes() == self.tag.as_bytes());
        let caching = [(ETAG, self.tag.clone()), (CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
        if is_same {
            return (StatusCode::NOT_MODIFIED, self.headers(), caching).into_response();
        }
        (self.headers(), caching, self.index.clone()).into_response()
    }

    /// The same page with more elements in its head, which tell of the request's token: no cache keeps it.
    pub fn index_with(&self, elements: &str) -> Response {
        let (head, rest) = self.index.split_at(self.head_end);
        let page = [head, elements.as_bytes(), rest].concat();
        (self.headers(), [(CACHE_CONTROL, HeaderValue::from_static("no-store"))], page).into_response()
    }

    fn headers(&self) -> [(HeaderName, HeaderValue); 3] {
        [
            (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
            (CONTENT_SECURITY_POLICY, self.policy.clone()),
            // The address of a shared page has a token.
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        ]
    }

    async fn file(&self, request: Request) -> Response {
        let is_hashed = request.uri().path().starts_with(HASHED);
        let mut response =
            self.files.clone().oneshot(request).await.unwrap_or_else(|never| match never {}).map(Body::new);
        // The index is one of the files, too.
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        if response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED {
            let cached = if is_hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(cached));
            response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
            if !is_hashed {
                response.headers_mut().remove(LAST_MODIFIED);
            }
        }
        response
    }
}

/// Any path that is no route: a file of the UI if its last segment has a dot, else its page. Errors: 404.
pub async fn fallback(State(Site(pages)): State<Site>, request: Request) -> Response {
    let path = request.uri().path();
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_api = path == "/api" || path.starts_with("/api/");
    // No file system has longer ones.
    let is_too_long = path.len() > 1024 || path.split('/').any(|segment| segment.len() > 255);
    let Some(pages) = pages.filter(|_| is_read && !is_api && !is_too_long) else {
        return ApiError::not_found().into_response();
    };
    let is_file = path.starts_with(HASHED) || path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    if is_file { pages.file(request).await } else { pages.index(request.headers()) }
}

/// The origins are those of files that the service does not serve itself, of the store that takes uploads, and of the accounts.
fn policy(storage: Option<&str>, uploads: Option<&str>, accounts: Option<&str>) -> String {
    let uploads = uploads.filter(|uploads| Some(*uploads) != storage);
    let connect: Vec<_> = ["'self'"].into_iter().chain(storage).chain(uploads).chain(accounts).collect();
    let storage = storage.unwrap_or_default();
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "manifest-src 'self'",
        &format!("img-src 'self' blob: data: {storage}"),
        &format!("media-src 'self' blob: {storage}"),
        &format!("connect-src {}", connect.join(" ")),
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    .map(str::trim_end)
    .join("; ")
}

/// The origin of an absolute URL.
fn origin(url: &str) -> Option<&str> {
    let authority = url.find("://")? + 3;
    let end = url[authority..].find('/').map_or(url.len(), |length| authority + length);
    Some(&url[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_admits_the_origin_of_the_bucket_and_nothing_inline() {
        let bucket = origin("https://media.s3.example.org/original/1?v=0");
        assert_eq!(bucket, Some("https://media.s3.example.org"));
        let both = policy(bucket, bucket, Some("https://abc.supabase.co"));
        assert!(both.contains("connect-src 'self' https://media.s3.example.org https://abc.supabase.co;"), "{both}");
        assert_eq!(both.matches("supabase").count(), 1, "{both}");
        let delivered = policy(Some("https://cdn.example.org"), bucket, None);
        assert!(
            delivered.contains("connect-src 'self' https://cdn.example.org https://media.s3.example.org;"),
            "{delivered}"
        );
        assert_eq!(delivered.matches("s3").count(), 1, "{delivered}");
        let accounts = policy(None, None, Some("https://abc.supabase.co"));
        assert!(accounts.contains("connect-src 'self' https://abc.supabase.co;"), "{accounts}");
        assert!(policy(None, None, None).contains("connect-src 'self';"));
        let policy = policy(bucket, bucket, None);
        assert!(policy.contains("img-src 'self' blob: data: https://media.s3.example.org;"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(origin("/api/files/original/1?v=0"), None);
    }
}
