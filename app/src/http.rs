//! The HTTP API: the routes and the limits of each request.

mod access;
mod api_keys;
mod auth;
mod changes;
mod client;
pub mod connections;
mod error;
mod files;
mod health;
mod home;
mod invites;
mod json_body;
mod lingering;
mod media;
mod middleware;
mod routes;
mod sessions;
mod state;
mod tus;
mod upload;

use std::time::Duration;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, StatusCode},
    middleware::from_fn_with_state,
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    limit::RequestBodyLimitLayer,
    timeout::{RequestBodyTimeoutLayer, TimeoutLayer},
};

pub use client::TrustedProxies;
use error::ApiError;
use routes::Routes;
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
    let small = small_bodies().router.layer(RequestBodyLimitLayer::new(MAX_BODY_BYTES));
    small
        .merge(uploads().router.layer(upload_limit))
        .fallback(async || ApiError::not_found())
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyTimeoutLayer::new(BODY_READ_TIMEOUT))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, REQUEST_TIMEOUT))
        .layer(CatchPanicLayer::custom(middleware::handle_panic))
        .layer(from_fn_with_state(state.draining.clone(), middleware::handle_request))
        .with_state(state)
}

fn small_bodies() -> Routes {
    Routes::default()
        .on(Method::GET, "/", home::page)
        .on(Method::GET, "/api/health/liveness", health::liveness)
        .on(Method::GET, "/api/health/readiness", health::readiness)
        .on(Method::POST, "/api/auth/register", auth::register)
        .on(Method::POST, "/api/auth/login", auth::login)
        .on(Method::POST, "/api/auth/logout", auth::logout)
        .on(Method::POST, "/api/auth/password", auth::change_password)
        .on(Method::GET, "/api/auth/me", auth::me)
        .on(Method::GET, "/api/sessions", sessions::list)
        .on(Method::DELETE, "/api/sessions/{id}", sessions::delete)
        .on(Method::GET, "/api/api-keys", api_keys::list)
        .on(Method::POST, "/api/api-keys", api_keys::create)
        .on(Method::DELETE, "/api/api-keys/{id}", api_keys::delete)
        .on(Method::GET, "/api/invites", invites::list)
        .on(Method::POST, "/api/invites", invites::create)
        .on(Method::DELETE, "/api/invites/{id}", invites::delete)
        .on(Method::GET, "/api/media", media::list)
        .on(Method::GET, "/api/media/facets", media::facets)
        .on(Method::POST, "/api/media/bulk", changes::bulk)
        .on(Method::GET, "/api/media/{id}", media::get)
        .on(Method::PATCH, "/api/media/{id}", changes::change)
        .on(Method::DELETE, "/api/media/{id}", changes::delete)
        .on(Method::GET, "/api/media/{id}/original", files::original::get)
        .on(Method::POST, "/api/media/{id}/restore", changes::restore)
        .on(Method::POST, "/api/media/{id}/thumbnails", changes::derive)
        .on(Method::POST, "/api/media/{id}/ocr", changes::recognise)
        .on(Method::GET, "/api/files/{*key}", files::get)
        .on(Method::OPTIONS, "/api/uploads", tus::options)
        .on(Method::POST, "/api/uploads", tus::create)
        .on(Method::HEAD, "/api/uploads/{id}", tus::offset)
        .on(Method::DELETE, "/api/uploads/{id}", tus::terminate)
}

fn uploads() -> Routes {
    Routes::default().on(Method::POST, "/api/media", upload::upload).on(Method::PATCH, "/api/uploads/{id}", tus::append)
}

#[cfg(test)]
mod tests {
    #[test]
    fn routes_txt_lists_every_route() {
        let routes = [super::small_bodies().list, super::uploads().list].concat();
        let listed: String = routes.iter().map(|(method, path)| format!("{method} {path}\n")).collect();
        let committed = include_str!("../tests/service/routes.txt");
        assert_eq!(listed, committed, "tests/service/routes.txt is stale; its access.rs needs a line for each route");
    }
}
