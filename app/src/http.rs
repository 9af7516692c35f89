//! The HTTP API: the routes and the limits of each request.

mod auth;
mod changes;
pub mod connections;
mod error;
mod files;
mod health;
mod home;
mod lingering;
mod media;
mod middleware;
mod state;
mod upload;

use std::time::Duration;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    middleware::from_fn_with_state,
    routing::{get, post},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    limit::RequestBodyLimitLayer,
    timeout::{RequestBodyTimeoutLayer, TimeoutLayer},
};

use error::ApiError;
pub use state::{AppState, Version};
pub use upload::UploadLimits;

/// Maximum size of a request body, in bytes, except for uploads.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// How long the service waits for the next bytes of a request body.
const BODY_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a whole request may take. Container platforms end a request after 300 seconds, too.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);

pub fn router(state: AppState) -> Router {
    let upload_limit = RequestBodyLimitLayer::new(state.upload_limits.body_limit());
    Router::new()
        .route("/", get(home::page))
        .route("/api/health/liveness", get(health::liveness))
        .route("/api/health/readiness", get(health::readiness))
        .route("/api/auth/register", post(auth::register))
        .route("/api/auth/login", post(auth::login))
        .route("/api/auth/me", get(auth::me))
        .route("/api/media", get(media::list))
        .route("/api/media/facets", get(media::facets))
        .route("/api/media/bulk", post(changes::bulk))
        .route("/api/media/{id}", get(media::get).patch(changes::change).delete(changes::delete))
        .route("/api/media/{id}/restore", post(changes::restore))
        .route("/api/media/{id}/thumbnails", post(changes::derive))
        .route("/api/media/{id}/ocr", post(changes::recognise))
        .route("/api/files/{*key}", get(files::get))
        .layer(RequestBodyLimitLayer::new(MAX_BODY_BYTES))
        .merge(Router::new().route("/api/media", post(upload::upload)).layer(upload_limit))
        .fallback(async || ApiError::not_found())
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyTimeoutLayer::new(BODY_READ_TIMEOUT))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, REQUEST_TIMEOUT))
        .layer(CatchPanicLayer::custom(middleware::handle_panic))
        .layer(from_fn_with_state(state.draining.clone(), middleware::handle_request))
        .with_state(state)
}
