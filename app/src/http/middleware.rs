//! Middleware for every request: adds the request id, logs the request, renders errors.

use std::{any::Any, time::Instant};

use axum::{
    extract::{Request, State},
    http::{
        HeaderName, HeaderValue, Method, StatusCode,
        header::{ALLOW, CONNECTION, CONTENT_RANGE, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use tracing::{Instrument, debug, info, info_span};
use ulid::Ulid;

use super::{connections::Draining, error::ApiError};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub async fn handle_request(State(draining): State<Draining>, request: Request, next: Next) -> Response {
    let log = RequestLog::new(&request);
    let span = info_span!("request", request_id = log.id);
    let mut response = next.run(request).instrument(span).await;

    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        let error = response.extensions_mut().remove::<ApiError>();
        // Keeps the JSON body of readiness, which responds with 503 without an `ApiError`.
        if error.is_some() || !is_json(&response) {
            let rendered = error.unwrap_or_else(|| ApiError::from_status(status)).render(&log.id);
            let mut original = std::mem::replace(&mut response, rendered);
            // What these statuses demand.
            for name in [ALLOW, CONTENT_RANGE] {
                if let Some(value) = original.headers_mut().remove(&name) {
                    response.headers_mut().insert(name, value);
                }
            }
        }
    }
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::from_str(&log.id) {
        headers.insert(REQUEST_ID, id);
    }
    if draining.is_on() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    log.responded(status);
    response
}

/// Logs a request when it is dropped, so that one whose client hangs up is logged too.
struct RequestLog {
    id: String,
    method: Method,
    path: String,
    started: Instant,
    /// `None` until there is a response.
    status: Option<StatusCode>,
}

impl RequestLog {
    fn new(request: &Request) -> Self {
        Self {
            id: request_id(request),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            started: Instant::now(),
            status: None,
        }
    }

    fn responded(mut self, status: StatusCode) {
        self.status = Some(status);
    }
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        let Self { id, method, path, started, status } = self;
        let duration_ms = started.elapsed().as_millis() as u64;
        let Some(status) = status.map(|status| status.as_u16()) else {
            info!(%method, path, duration_ms, request_id = id, "request aborted");
            return;
        };
        if path.starts_with("/api/health/") && matches!(status, 200 | 503) {
            // Health probes would fill the log. Why the service is not ready is logged by the check that failed.
            debug!(%method, path, status, duration_ms, request_id = id, "request");
        } else {
            info!(%method, path, status, duration_ms, request_id = id, "request");
        }
    }
}

/// The id from a proxy if it is safe to log, else a new one.
fn request_id(request: &Request) -> String {
    let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let is_safe =
        |id: &&str| (1..=64).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    given.filter(is_safe).map_or_else(|| Ulid::new().to_string(), str::to_owned)
}

fn is_json(response: &Response) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/json"))
}

/// Responds with 500 if a handler panics.
#[expect(clippy::needless_pass_by_value, reason = "CatchPanicLayer requires this signature")]
pub fn handle_panic(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    ApiError::internal(format!("panic: {}", text.unwrap_or("no message"))).into_response()
}
