//! The HTTP API: the routes and the limits of each request.

mod access;
mod accounts;
mod admin;
mod answers;
mod api_keys;
mod auth;
mod changes;
mod client;
mod compression;
pub mod connections;
mod error;
mod events;
mod files;
mod health;
mod home;
mod invites;
mod json_body;
mod media;
mod middleware;
mod openapi;
mod pace;
mod pages;
mod presigned;
mod replace;
mod routes;
mod sessions;
mod share_page;
mod shares;
mod signed_urls;
mod state;
mod timeline;
mod tus;
mod upload;
mod values;

use std::time::Duration;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, StatusCode},
    middleware::{from_fn, from_fn_with_state, map_request},
};
use tower_http::{catch_panic::CatchPanicLayer, limit::RequestBodyLimitLayer, timeout::TimeoutLayer};

pub use client::TrustedProxies;
pub use events::Events;
pub use openapi::document;
pub use pages::Pages;
pub use presigned::Presigned;
use routes::{Route, Routes};
pub use state::{AppState, Site, Version};
pub use upload::UploadLimits;

use crate::error_code::ErrorCode::*;

/// Maximum size of a request body, in bytes, except for uploads.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// How long a whole request may take. Container platforms end a request after 300 seconds, too.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);

pub fn router(state: AppState) -> Router {
    let upload_limit = RequestBodyLimitLayer::new(state.upload_limits.body_limit());
    let small = small_bodies().router.layer(RequestBodyLimitLayer::new(MAX_BODY_BYTES));
    small
        .merge(uploads().router.layer(upload_limit))
        .fallback(pages::fallback)
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn(middleware::retry_reads))
        .layer(compression::layer())
        .layer(map_request(pace::watch))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, REQUEST_TIMEOUT))
        .layer(CatchPanicLayer::custom(middleware::handle_panic))
        .layer(from_fn_with_state(state.draining.clone(), middleware::handle_request))
        .with_state(state)
}

/// All routes, for their description.
fn routes() -> Vec<Route> {
    [small_bodies().list, uploads().list].concat()
}

fn small_bodies() -> Routes {
    Routes::default()
        .on(Method::GET, "/", home::page, "The page for people", &[])
        .on(
            Method::GET,
            "/s/{token}",
            share_page::get,
            "The page of a share for people, with a preview for chat programs unless it has a password",
            &[Unavailable],
        )
        .on(Method::GET, "/api/openapi.json", openapi::get, "This description", &[])
        .on(Method::GET, "/api/health/liveness", health::liveness, "Whether the process runs", &[])
        .on(Method::GET, "/api/health/readiness", health::readiness, "Whether the service can work", &[])
        .on(
            Method::GET,
            "/api/auth/bootstrap",
            auth::bootstrap,
            "Where users log in, and whether the first account is still to be created",
            &[Unavailable],
        )
        .on(
            Method::POST,
            "/api/auth/register",
            auth::register,
            "Create an account and log in, by the bootstrap token or by an invite",
            &[
                BootstrapClosed,
                BadBootstrapToken,
                BadInvite,
                InvalidUsername,
                WeakPassword,
                UsernameTaken,
                AccountsElsewhere,
                Busy,
                Unavailable,
            ],
        )
        .on(
            Method::POST,
            "/api/auth/login",
            auth::login,
            "Start a session",
            &[BadCredentials, AccountsElsewhere, TooManyAttempts, Busy, Unavailable],
        )
        .on(Method::POST, "/api/auth/logout", auth::logout, "End the session of the request", &[])
        .on(
            Method::POST,
            "/api/auth/password",
            auth::change_password,
            "Change the password and end the account's other sessions; its API keys stay",
            &[WeakPassword, WrongPassword, AccountsElsewhere, TooManyAttempts, Busy],
        )
        .on(Method::GET, "/api/auth/me", auth::me, "The account of the request, and what its token allows", &[])
        .on(
            Method::POST,
            "/api/auth/delete",
            accounts::delete_own,
            "Delete the user's own account; its media stay",
            &[WrongPassword, LastAdmin, AccountsElsewhere, TooManyAttempts, Busy, NotFound],
        )
        .on(Method::GET, "/api/accounts", accounts::list, "List all accounts, the oldest first", &[])
        .on(Method::PATCH, "/api/accounts/{id}", accounts::change_role, "Change the role of an account", &[LastAdmin])
        .on(
            Method::DELETE,
            "/api/accounts/{id}",
            accounts::delete,
            "Delete the account of another user; its media stay",
            &[OwnAccount, LastAdmin],
        )
        .on(
            Method::GET,
            "/api/admin/status",
            admin::status,
            "What waits in the queue, and which processes of the service live",
            &[],
        )
        .on(Method::GET, "/api/admin/storage", admin::storage, "What each account's media take", &[])
        .on(
            Method::GET,
            "/api/admin/failures",
            admin::failures,
            "The newest media that failed, and work on media that was given up",
            &[],
        )
        .on(
            Method::POST,
            "/api/admin/failures/retry",
            admin::retry,
            "Try all work again that was given up, but for what is in the trash",
            &[],
        )
        .on(Method::GET, "/api/sessions", sessions::list, "List the account's sessions", &[])
        .on(Method::DELETE, "/api/sessions/{id}", sessions::delete, "End a session of the account", &[])
        .on(
            Method::GET,
            "/api/api-keys",
            api_keys::list,
            "List the account's API keys, with those that have expired",
            &[],
        )
        .on(
            Method::POST,
            "/api/api-keys",
            api_keys::create,
            "Create an API key",
            &[InvalidName, InvalidScopes, InvalidLifetime],
        )
        .on(Method::DELETE, "/api/api-keys/{id}", api_keys::delete, "Revoke an API key of the account", &[])
        .on(
            Method::GET,
            "/api/invites",
            invites::list,
            "List all invites, with those that are used or have expired",
            &[],
        )
        .on(
            Method::POST,
            "/api/invites",
            invites::create,
            "Create an invite, which makes one account",
            &[InvalidLifetime],
        )
        .on(
            Method::DELETE,
            "/api/invites/{id}",
            invites::delete,
            "Revoke an invite; an account that it made stays",
            &[],
        )
        .on(
            Method::GET,
            "/api/events",
            events::stream,
            "Tell of media that were processed, changed or deleted, by server-sent events",
            &[Busy],
        )
        .on(Method::GET, "/api/media", media::list, "List or search media, newest first", &[BadPaging, BadFilter])
        .on(
            Method::GET,
            "/api/media/facets",
            media::facets,
            "Count the media of a filter by type, tag and uploader",
            &[BadFilter],
        )
        .on(Method::GET, "/api/media/tags", media::tags, "List the tags that have a text", &[BadFilter])
        .on(
            Method::GET,
            "/api/media/timeline",
            timeline::get,
            "Count the media of a filter by month, with where each month begins in the list",
            &[BadFilter],
        )
        .on(
            Method::GET,
            "/api/media/sha256/{digest}",
            media::find_by_digest,
            "Get the media that an upload of the bytes with this SHA-256 would be a duplicate of",
            &[],
        )
        .on(
            Method::POST,
            "/api/media/bulk",
            changes::bulk,
            "Tag, untag, delete (to the trash) or restore many media",
            &[BadBulk, InvalidTags],
        )
        .on(Method::GET, "/api/media/{id}", media::get, "Get a media", &[])
        .on(
            Method::PATCH,
            "/api/media/{id}",
            changes::change,
            "Change the name, the description or the tags of a media",
            &[InvalidName, InvalidDescription, InvalidTags],
        )
        .on(
            Method::DELETE,
            "/api/media/{id}",
            changes::delete,
            "Move a media to the trash, where it stays for 30 days, or delete it for ever",
            &[],
        )
        .on(
            Method::GET,
            "/api/media/{id}/original",
            files::original::get,
            "Get the file as it was received: for its uploader and admins",
            &[Forbidden, StorageFull],
        )
        .on(Method::POST, "/api/media/{id}/restore", changes::restore, "Take a media out of the trash", &[])
        .on(
            Method::POST,
            "/api/media/{id}/thumbnails",
            changes::derive,
            "Derive the thumbnails of a media anew; try a failed one again",
            &[],
        )
        .on(
            Method::POST,
            "/api/media/{id}/ocr",
            changes::recognise,
            "Recognise the text of a picture anew",
            &[FeatureOff],
        )
        .on(
            Method::GET,
            "/api/shares",
            shares::list,
            "List the user's own shares, all shares for an admin, with those that have expired",
            &[],
        )
        .on(
            Method::POST,
            "/api/shares",
            shares::create,
            "Share media with people who have no account",
            &[InvalidItems, InvalidTitle, InvalidExpiry, WeakPassword, TooManyShares, Busy],
        )
        .on(Method::DELETE, "/api/shares/{id}", shares::delete, "Revoke a share", &[])
        .on(
            Method::GET,
            "/api/shared/{token}",
            shares::get,
            "What a share shows; if it has a password, with the bearer token of its session",
            &[PasswordRequired, Unavailable],
        )
        .on(
            Method::POST,
            "/api/shared/{token}/session",
            shares::open,
            "Open a share that has a password",
            &[NoPassword, WrongPassword, TooManyAttempts, Busy, Unavailable],
        )
        .on(
            Method::GET,
            "/api/files/{*key}",
            files::get,
            "Get a stored file, if no bucket serves it: the paths are in each media",
            &[Unavailable],
        )
        .on(Method::OPTIONS, "/api/uploads", tus::options, "What the service has of the protocol tus", &[])
        .on(
            Method::POST,
            "/api/uploads",
            tus::create,
            "Create a resumable upload, by tus 1.0.0",
            &[InvalidName, TooLarge, TooManyUploads, StorageFull],
        )
        .on(
            Method::HEAD,
            "/api/uploads/{id}",
            tus::offset,
            "How much of a resumable upload has arrived",
            upload::REJECTED,
        )
        .on(Method::DELETE, "/api/uploads/{id}", tus::terminate, "End a resumable upload; what it added stays", &[])
        .on(
            Method::POST,
            "/api/image/v1/upload/create-presigned-url",
            presigned::create,
            "Create a media and a URL to put its file into the store",
            &[InvalidContentType, InvalidName, BadRequest, TooManyUploads],
        )
        .on(
            Method::POST,
            "/api/image/v1/upload/{image_id}/complete",
            presigned::complete,
            "Tell that the file of a presigned upload is in the store, to be validated; may be repeated",
            &[NotUploaded],
        )
        .on(
            Method::GET,
            "/api/image/v1/upload/{image_id}",
            presigned::status,
            "What has become of a presigned upload, or wait for that",
            &[],
        )
        .on(
            Method::DELETE,
            "/api/image/v1/upload/{image_id}",
            presigned::parts::cancel,
            "End a presigned upload whose file is not accepted yet, with its media",
            &[],
        )
        .on(
            Method::POST,
            "/api/image/v1/upload/multipart",
            presigned::parts::begin,
            "Create a media whose file is put into the store in parts",
            &[InvalidContentType, InvalidName, BadRequest, TooManyUploads, NoBucket],
        )
        .on(
            Method::POST,
            "/api/image/v1/upload/{image_id}/parts",
            presigned::parts::sign,
            "URLs to put parts of a file into the store",
            &[BadRequest, NoBucket],
        )
        .on(
            Method::GET,
            "/api/image/v1/upload/{image_id}/parts",
            presigned::parts::list,
            "Which parts of a file have arrived in the store",
            &[],
        )
        .on(
            Method::GET,
            "/api/image/v1/download/get-signed-url/{image_id}",
            signed_urls::get,
            "A URL to download the file of a media that is ready",
            &[],
        )
        .on(
            Method::POST,
            "/api/image/v1/download/get-signed-urls",
            signed_urls::list,
            "URLs to download the files of many media",
            &[BadBulk],
        )
}

fn uploads() -> Routes {
    Routes::default()
        .on(Method::POST, "/api/media", upload::upload, "Add a picture or a clip", &[NotFound])
        .on(
            Method::PUT,
            "/api/media/{id}/file",
            replace::replace,
            "Give a media another file",
            &[Forbidden, Duplicate, Pending, ProcessingFailed],
        )
        .on(
            Method::PATCH,
            "/api/uploads/{id}",
            tus::append,
            "Append a part to a resumable upload; with the last one, the file is added",
            &[OtherOffset, Locked, ChecksumMismatch],
        )
        .on(
            Method::PUT,
            "/api/uploads/{id}",
            presigned::receive,
            "Put the file of a presigned upload, if the service itself stores files",
            &[
                BadRequest,
                BadSignature,
                NotFound,
                InvalidContentType,
                EmptyFile,
                TooLarge,
                Busy,
                StorageFull,
                Unavailable,
                Timeout,
            ],
        )
}

#[cfg(test)]
mod tests {
    #[test]
    fn routes_txt_lists_every_route() {
        let listed: String = super::routes().iter().map(|route| format!("{} {}\n", route.method, route.path)).collect();
        let committed = include_str!("../tests/service/routes.txt");
        assert_eq!(listed, committed, "tests/service/routes.txt is stale; its access.rs needs a line for each route");
    }
}
