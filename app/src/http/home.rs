//! The page at `/`: the web UI, or the version, the health link and the first commands.

use axum::{
    extract::State,
    http::{
        HeaderMap, HeaderValue,
        header::{CONTENT_SECURITY_POLICY, HOST},
    },
    response::{Html, IntoResponse, Response},
};
use serde_json::json;

use super::{
    openapi::{Operation, Output},
    state::{Site, Version},
};

/// The web UI, where there is one; else a page with the first commands.
pub struct Page(pub Response);

/// `GET /`
pub async fn page(State(version): State<Version>, State(Site(pages)): State<Site>, headers: HeaderMap) -> Page {
    if let Some(pages) = pages {
        return Page(pages.index(&headers));
    }
    let html = include_str!("home.html")
        .replace("{{version}}", &escape_html(&version.0))
        .replace("{{origin}}", &origin(&headers));
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
    Page(([(CONTENT_SECURITY_POLICY, policy)], Html(html)).into_response())
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        self.0
    }
}

impl Output for Page {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer_content("text/html", json!({ "type": "string" }));
    }
}

/// The origin of the request URL, so that the commands on the page can be copied and run unchanged. The client decides it.
pub fn origin(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_host = |host: &&str| host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c));
    let host = text(HOST.as_str()).filter(is_host).unwrap_or("localhost");
    let scheme = if text("x-forwarded-proto") == Some("https") { "https" } else { "http" };
    format!("{scheme}://{host}")
}

pub fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
