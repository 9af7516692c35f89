//! `/api/auth`: registration, log-in and log-out, and the account of the request.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, SET_COOKIE},
    },
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{access::SignedIn, client::device_cookie, error::ApiError, json_body::JsonBody};
use crate::auth::{Access, Authenticator, Client, LogIn, Role, Scope, session};

/// The headers of a response that has a token.
pub const NO_STORE: [(HeaderName, HeaderValue); 1] = [(CACHE_CONTROL, HeaderValue::from_static("no-store"))];

#[derive(Deserialize)]
pub struct RegisterRequest {
    username: String,
    password: SecretString,
    /// For the first account.
    bootstrap_token: Option<SecretString>,
    /// The token of an invite, for all other accounts.
    invite: Option<SecretString>,
}

#[derive(Deserialize)]
pub struct LoginRequest {
    username: String,
    password: SecretString,
}

#[derive(Deserialize)]
pub struct PasswordRequest {
    old_password: SecretString,
    new_password: SecretString,
}

#[derive(Serialize)]
pub struct TokenResponse {
    token: String,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

#[derive(Serialize)]
pub struct MeResponse {
    id: Uuid,
    username: String,
    role: Role,
    /// What the token allows; all scopes if it is of a session.
    scopes: BTreeSet<Scope>,
}

/// `POST /api/auth/register`: creates an account and logs it in, by the bootstrap token or by an invite. Errors: 403
/// `bootstrap_closed`, 403 `bad_bootstrap_token`, 403 `bad_invite`, 400 `invalid_username`, 400 `weak_password`, 409
/// `username_taken`, 429 `busy`.
pub async fn register(
    State(authenticator): State<Arc<Authenticator>>,
    client: Client,
    headers: HeaderMap,
    JsonBody(request): JsonBody<RegisterRequest>,
) -> Result<(StatusCode, HeaderMap, Json<TokenResponse>), ApiError> {
    let RegisterRequest { username, password, bootstrap_token, invite } = request;
    let log_in = match (bootstrap_token, invite) {
        (Some(token), None) => authenticator.register_first(&username, password, &token, &client).await?,
        (None, Some(invite)) => authenticator.register_invited(&username, password, &invite, &client).await?,
        _ => return Err(ApiError::bad_request("bad_json", "the body needs either bootstrap_token or invite")),
    };
    let (headers, body) = token_response(&log_in, &headers)?;
    Ok((StatusCode::CREATED, headers, body))
}

/// `POST /api/auth/login`: starts a session. Errors: 401 `bad_credentials`, 429 `too_many_attempts`, 429 `busy`.
pub async fn login(
    State(authenticator): State<Arc<Authenticator>>,
    client: Client,
    headers: HeaderMap,
    JsonBody(LoginRequest { username, password }): JsonBody<LoginRequest>,
) -> Result<(HeaderMap, Json<TokenResponse>), ApiError> {
    let log_in = authenticator.log_in(&username, password, &client).await?;
    token_response(&log_in, &headers)
}

/// `POST /api/auth/logout`: ends the session of the request.
pub async fn logout(State(db): State<PgPool>, user: SignedIn) -> Result<StatusCode, ApiError> {
    session::delete(&db, user.account.id, user.session).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/auth/password`: changes the password and ends the account's other sessions; its API keys stay. Errors: 400
/// `weak_password`, 403 `wrong_password`, 429 `too_many_attempts`, 429 `busy`.
pub async fn change_password(
    State(authenticator): State<Arc<Authenticator>>,
    user: SignedIn,
    JsonBody(PasswordRequest { old_password, new_password }): JsonBody<PasswordRequest>,
) -> Result<StatusCode, ApiError> {
    authenticator.change_password(user.account.id, user.session, old_password, new_password).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/auth/me`
pub async fn me(access: Access) -> Json<MeResponse> {
    Json(MeResponse {
        id: access.account.id,
        username: access.account.username,
        role: access.role,
        scopes: access.scopes,
    })
}

fn token_response(log_in: &LogIn, request: &HeaderMap) -> Result<(HeaderMap, Json<TokenResponse>), ApiError> {
    let mut headers = HeaderMap::from_iter(NO_STORE);
    headers.insert(SET_COOKIE, device_cookie(&log_in.device_token, request)?);
    let body = TokenResponse { token: log_in.token.expose_secret().to_owned(), expires_at: log_in.expires_at };
    Ok((headers, Json(body)))
}
