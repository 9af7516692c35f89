//! `/api/auth`: registration, log-in, and the extractor that authenticates requests.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRef, FromRequestParts, State, rejection::JsonRejection},
    http::{StatusCode, header::AUTHORIZATION, request::Parts},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::error::ApiError;
use crate::auth::{Account, Authenticator, IssuedToken};

/// Extracts the account of the bearer token. Responds with 401 if the token is missing or invalid.
pub struct AuthUser(pub Account);

#[derive(Deserialize)]
pub struct RegisterRequest {
    username: String,
    password: SecretString,
    bootstrap_token: SecretString,
}

#[derive(Deserialize)]
pub struct LoginRequest {
    username: String,
    password: SecretString,
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
}

/// `POST /api/auth/register`: creates the first account. Errors: 403 `bootstrap_closed`, 403 `bad_bootstrap_token`, 400
/// `invalid_username`, 400 `weak_password`.
pub async fn register(
    State(authenticator): State<Arc<Authenticator>>,
    body: Result<Json<RegisterRequest>, JsonRejection>,
) -> Result<(StatusCode, Json<TokenResponse>), ApiError> {
    let RegisterRequest { username, password, bootstrap_token } = parse(body)?;
    let issued = authenticator.register_first(&username, password, &bootstrap_token).await?;
    Ok((StatusCode::CREATED, Json(issued.into())))
}

/// `POST /api/auth/login`: issues a token. Errors: 401 `bad_credentials`, 429 `too_many_attempts`, 429 `busy`.
pub async fn login(
    State(authenticator): State<Arc<Authenticator>>,
    body: Result<Json<LoginRequest>, JsonRejection>,
) -> Result<Json<TokenResponse>, ApiError> {
    let LoginRequest { username, password } = parse(body)?;
    Ok(Json(authenticator.log_in(&username, password).await?.into()))
}

/// `GET /api/auth/me`
pub async fn me(AuthUser(account): AuthUser) -> Json<MeResponse> {
    Json(MeResponse { id: account.id, username: account.username })
}

impl<S: Send + Sync> FromRequestParts<S> for AuthUser
where
    Arc<Authenticator>: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let token = bearer_token(parts).ok_or_else(ApiError::unauthorized)?;
        let account = Arc::<Authenticator>::from_ref(state).authenticate(token).await?;
        account.map(AuthUser).ok_or_else(ApiError::unauthorized)
    }
}

fn bearer_token(parts: &Parts) -> Option<&str> {
    let (scheme, token) = parts.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Replaces the parser's error message, because it may quote the body, which contains a password.
pub fn parse<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, ApiError> {
    match body {
        Ok(Json(value)) => Ok(value),
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(ApiError::from_status(StatusCode::PAYLOAD_TOO_LARGE))
        }
        Err(_) => Err(ApiError::bad_request("bad_json", "the body is not a JSON object with the expected fields")),
    }
}

impl From<IssuedToken> for TokenResponse {
    fn from(issued: IssuedToken) -> Self {
        Self { token: issued.token.expose_secret().to_owned(), expires_at: issued.expires_at }
    }
}
