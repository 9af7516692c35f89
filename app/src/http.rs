//! The service's face: every route, and what surrounds every request.

pub mod auth;
pub mod connections;
pub mod error;
pub mod files;
pub mod health;
pub mod home;
pub mod media;

use std::{
    any::Any,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{CONNECTION, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    limit::RequestBodyLimitLayer,
    timeout::{RequestBodyTimeoutLayer, TimeoutLayer},
};
use tracing::{Instrument, debug, info, info_span};
use ulid::Ulid;

use crate::state::AppState;
use error::ApiError;

/// The largest body of a request that is no upload, in bytes.
const SMALL_BODY: usize = 64 * 1024;

/// What an upload's body may have beyond its file, in bytes: the form's frame, a name and a description.
const FORM_FRAME: usize = 64 * 1024;

/// How long a client may pause while it sends a body.
const BODY_PAUSE: Duration = Duration::from_secs(30);

/// How long a request may take in all; hosts of containers end it at 300 seconds too.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The whole service as a router.
pub fn app(state: AppState) -> Router {
    let upload_limit = usize::try_from(state.max_upload_bytes).unwrap_or(usize::MAX).saturating_add(FORM_FRAME);
    Router::new()
        .route("/", get(home::page))
        .route("/api/health/liveness", get(health::liveness))
        .route("/api/health/readiness", get(health::readiness))
        .route("/api/auth/register", post(auth::register))
        .route("/api/auth/login", post(auth::login))
        .route("/api/auth/me", get(auth::me))
        .route("/api/media/{id}", get(media::get).delete(media::delete))
        .route("/api/media", get(media::list))
        .route("/api/files/{*key}", get(files::get))
        .layer(RequestBodyLimitLayer::new(SMALL_BODY))
        .merge(Router::new().route("/api/media", post(media::upload)).layer(RequestBodyLimitLayer::new(upload_limit)))
        .fallback(async || ApiError::not_found())
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyTimeoutLayer::new(BODY_PAUSE))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, REQUEST_TIMEOUT))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(state.clone(), around))
        .with_state(state)
}

/// Around every request: its id, its log line, its failure's body, and the headers that every answer has.
async fn around(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(&request);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = info_span!("request", request_id = id);
    let mut response = next.run(request).instrument(span).await;

    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        let error = response.extensions_mut().remove::<ApiError>();
        // Readiness answers 503 with a body of its own.
        if error.is_some() || !is_json(&response) {
            response = error.unwrap_or_else(|| ApiError::of_status(status)).render(&id);
        }
    }
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    if state.draining.is_on() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }

    let (status, duration_ms) = (status.as_u16(), started.elapsed().as_millis() as u64);
    if path.starts_with("/api/health/") && status == 200 {
        // Several probes a minute, for ever.
        debug!(%method, path, status, duration_ms, request_id = id, "answered");
    } else {
        info!(%method, path, status, duration_ms, request_id = id, "answered");
    }
    response
}

/// The id that a proxy gave the request, where it can stand in a log, or a new one.
fn request_id(request: &Request) -> String {
    let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let fits =
        |id: &&str| (1..=64).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    given.filter(fits).map_or_else(|| Ulid::new().to_string(), str::to_owned)
}

fn is_json(response: &Response) -> bool {
    let content_type = response.headers().get(axum::http::header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/json"))
}

#[expect(clippy::needless_pass_by_value, reason = "the layer's signature")]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    ApiError::internal(format!("panic: {}", text.unwrap_or("without a message"))).into_response()
}
