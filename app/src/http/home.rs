//! The page at `/`: the version, the health link and the first commands.

use axum::{
    extract::State,
    http::{
        HeaderMap, HeaderValue,
        header::{CONTENT_SECURITY_POLICY, HOST},
    },
    response::{Html, IntoResponse},
};

use super::state::Version;

/// `GET /`
pub async fn page(State(version): State<Version>, headers: HeaderMap) -> impl IntoResponse {
    let html = include_str!("home.html")
        .replace("{{version}}", &escape_html(&version.0))
        .replace("{{origin}}", &origin(&headers));
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
    ([(CONTENT_SECURITY_POLICY, policy)], Html(html))
}

/// The origin of the request URL, so that the commands on the page can be copied and run unchanged.
fn origin(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_host = |host: &&str| host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c));
    let host = text(HOST.as_str()).filter(is_host).unwrap_or("localhost");
    let scheme = if text("x-forwarded-proto") == Some("https") { "https" } else { "http" };
    format!("{scheme}://{host}")
}

fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
