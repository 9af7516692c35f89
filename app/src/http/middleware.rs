//! Middleware for every request: adds the request id, logs the request, renders errors.

use std::{any::Any, time::Instant};

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{
        HeaderName, HeaderValue, Method, StatusCode,
        header::{ALLOW, CONNECTION, CONTENT_RANGE, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use tracing::{Instrument, Span, debug, field::Empty, info, info_span};
use ulid::Ulid;

use super::{connections::Draining, error::ApiError};
use crate::{
    metrics::{known_method, metrics},
    traces::{TARGET, TraceContext},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub async fn handle_request(State(draining): State<Draining>, request: Request, next: Next) -> Response {
    let log = RequestLog::new(&request);
    let span = info_span!(parent: &log.trace, "request", request_id = log.id, trace_id = log.trace_id);
    let mut response = next.run(request).instrument(span).instrument(log.trace.clone()).await;

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

/// Runs a GET or HEAD once more if the connection to the database ended under one of its queries: such a request changes nothing.
pub async fn retry_reads(request: Request, next: Next) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let again = Request::from_parts(parts.clone(), Body::empty());
    let response = next.clone().run(Request::from_parts(parts, body)).await;
    if response.extensions().get::<ApiError>().is_some_and(|error| error.was_cut) {
        return next.run(again).await;
    }
    response
}

/// Logs and counts a request when it is dropped, so that one whose client hangs up is logged too.
struct RequestLog {
    id: String,
    trace_id: String,
    /// The span for the collector. It has the route's pattern, never the path.
    trace: Span,
    method: Method,
    path: String,
    /// `None` if no route has the path.
    route: Option<MatchedPath>,
    started: Instant,
    /// `None` until there is a response.
    status: Option<StatusCode>,
}

impl RequestLog {
    fn new(request: &Request) -> Self {
        let context = TraceContext::of(request.headers());
        let route = request.extensions().get::<MatchedPath>().cloned();
        Self {
            id: request_id(request),
            trace_id: context.trace_id(),
            trace: trace(request.method(), route.as_ref().map(MatchedPath::as_str), &context),
            route,
            method: request.method().clone(),
            path: without_tokens(request.uri().path()),
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
        let Self { id, trace_id, trace, method, path, route, started, status } = self;
        let took = started.elapsed();
        metrics().request(method, route.as_ref().map(MatchedPath::as_str), *status, took);
        let duration_ms = took.as_millis() as u64;
        let Some(status) = status.map(|status| status.as_u16()) else {
            trace.record("otel.error", "the client left before the response");
            info!(%method, path, duration_ms, request_id = id, trace_id, "request aborted");
            return;
        };
        trace.record("http.response.status_code", status);
        if status >= 500 {
            trace.record("otel.error", "the service failed");
        }
        if path.starts_with("/api/health/") && matches!(status, 200 | 503) {
            // Health probes would fill the log. Why the service is not ready is logged by the check that failed.
            debug!(%method, path, status, duration_ms, request_id = id, trace_id, "request");
        } else {
            info!(%method, path, status, duration_ms, request_id = id, trace_id, "request");
        }
    }
}

/// The path to log. A path below `shared` or `s` has a token, and so may any other path that a client has got wrong.
fn without_tokens(path: &str) -> String {
    let mut segments: Vec<&str> = path.split('/').collect();
    for place in 0..segments.len() {
        let is_token = |text: &str| text.split(|c: char| !c.is_ascii_hexdigit()).any(|run| run.len() >= 32);
        if is_token(segments[place]) || (place > 0 && ["shared", "s"].contains(&segments[place - 1])) {
            segments[place] = "[token]";
        }
    }
    segments.join("/")
}

/// A request's span for the collector. Probes are not traced: they would be most of the traces.
fn trace(method: &Method, route: Option<&str>, context: &TraceContext) -> Span {
    let (method, is_probe) = (known_method(method), route.is_some_and(|route| route.starts_with("/api/health/")));
    info_span!(
        target: TARGET,
        "request",
        otel.name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}")),
        otel.kind = "server",
        otel.trace = context.trace,
        otel.parent = context.parent,
        otel.sampled = context.is_sampled && !is_probe,
        otel.error = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
    )
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

#[cfg(test)]
mod tests {
    use super::without_tokens;

    #[test]
    fn no_token_of_a_share_is_logged_wherever_a_client_puts_it() {
        let token = "0123456789abcdef".repeat(4);
        for (path, logged) in [
            (format!("/api/shared/{token}"), "/api/shared/[token]"),
            (format!("/api/shared/{token}/session"), "/api/shared/[token]/session"),
            // Half a token, and one that the router decodes.
            ("/api/shared/0123".to_owned(), "/api/shared/[token]"),
            ("/api/shared/%30%31/session".to_owned(), "/api/shared/[token]/session"),
            ("/s/0123".to_owned(), "/s/[token]"),
            (format!("/{token}"), "/[token]"),
            (format!("//api/%73hared/{}.", token.to_uppercase()), "//api/%73hared/[token]"),
        ] {
            assert_eq!(without_tokens(&path), logged);
        }
        for path in ["/", "/api/media/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/api/shares/6f1c0a52-70a5-4a9d-9f3e-0d2f1a2b3c4d"] {
            assert_eq!(without_tokens(path), path);
        }
    }
}
