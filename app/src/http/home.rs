//! The page at `/`: what runs here and where to go on.

use axum::{
    extract::State,
    http::{
        HeaderMap, HeaderValue,
        header::{CONTENT_SECURITY_POLICY, HOST},
    },
    response::{Html, IntoResponse},
};

use crate::state::AppState;

/// `GET /`
pub async fn page(State(state): State<AppState>, headers: HeaderMap) -> impl IntoResponse {
    let html = include_str!("home.html")
        .replace("{{version}}", &escaped(&state.version))
        .replace("{{origin}}", &origin(&headers));
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
    ([(CONTENT_SECURITY_POLICY, policy)], Html(html))
}

/// The address under which the page was asked for, so that its commands can be copied as they are.
fn origin(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_host = |host: &&str| host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c));
    let host = text(HOST.as_str()).filter(is_host).unwrap_or("localhost");
    let scheme = if text("x-forwarded-proto") == Some("https") { "https" } else { "http" };
    format!("{scheme}://{host}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
