//! `/api/api-keys`: the API keys of the user's own account, for programs.

use std::collections::BTreeSet;

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderName, HeaderValue, StatusCode},
};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{access::SignedIn, auth::NO_STORE, error::ApiError, json_body::JsonBody};
use crate::auth::{
    Scope,
    api_key::{self, ApiKey},
};

const MAX_NAME_CHARS: usize = 100;

const MAX_LIFETIME_DAYS: i32 = 3650;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyRequest {
    /// 1 to [`MAX_NAME_CHARS`] characters; for its owner to recognise it.
    name: String,
    /// At least one.
    scopes: BTreeSet<Scope>,
    /// 1 to [`MAX_LIFETIME_DAYS`]; it does not expire if missing.
    lifetime_days: Option<i32>,
}

#[derive(Serialize)]
pub struct NewApiKeyResponse {
    /// The bearer token. It is not shown again.
    token: String,
    #[serde(flatten)]
    key: ApiKeyResponse,
}

#[derive(Serialize)]
pub struct ApiKeysResponse {
    /// The newest first.
    items: Vec<ApiKeyResponse>,
}

#[derive(Serialize)]
pub struct ApiKeyResponse {
    id: Uuid,
    name: String,
    scopes: BTreeSet<Scope>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// To the minute; `None` if it was never used.
    #[serde(with = "time::serde::rfc3339::option")]
    last_used_at: Option<OffsetDateTime>,
    /// `None` if it does not expire.
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
}

/// `POST /api/api-keys`: creates an API key. Errors: 400 `invalid_name`, 400 `invalid_scopes`, 400 `invalid_lifetime`.
pub async fn create(
    State(db): State<PgPool>,
    user: SignedIn,
    JsonBody(ApiKeyRequest { name, scopes, lifetime_days }): JsonBody<ApiKeyRequest>,
) -> Result<(StatusCode, [(HeaderName, HeaderValue); 1], Json<NewApiKeyResponse>), ApiError> {
    if !(1..=MAX_NAME_CHARS).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        let message = format!("a name must have 1 to {MAX_NAME_CHARS} characters and no control characters");
        return Err(ApiError::bad_request("invalid_name", message));
    }
    if scopes.is_empty() {
        return Err(ApiError::bad_request("invalid_scopes", "an API key needs at least one scope"));
    }
    if lifetime_days.is_some_and(|days| !(1..=MAX_LIFETIME_DAYS).contains(&days)) {
        let message = format!("lifetime_days must be a number from 1 to {MAX_LIFETIME_DAYS}, or missing");
        return Err(ApiError::bad_request("invalid_lifetime", message));
    }
    let (key, token) = api_key::create(&db, user.account.id, &name, &scopes, lifetime_days).await?;
    let body = NewApiKeyResponse { token: token.expose_secret().to_owned(), key: key.into() };
    Ok((StatusCode::CREATED, NO_STORE, Json(body)))
}

/// `GET /api/api-keys`: also those that have expired.
pub async fn list(State(db): State<PgPool>, user: SignedIn) -> Result<Json<ApiKeysResponse>, ApiError> {
    let items = api_key::list(&db, user.account.id).await?.into_iter().map(ApiKeyResponse::from).collect();
    Ok(Json(ApiKeysResponse { items }))
}

/// `DELETE /api/api-keys/{id}`: revokes an API key. Errors: 404.
pub async fn delete(State(db): State<PgPool>, user: SignedIn, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    let id = id.parse().map_err(|_| ApiError::not_found())?;
    let deleted = api_key::delete(&db, user.account.id, id).await?;
    if deleted { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::not_found()) }
}

impl From<ApiKey> for ApiKeyResponse {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            name: key.name,
            scopes: key.scopes,
            created_at: key.created_at,
            last_used_at: key.last_used_at,
            expires_at: key.expires_at,
        }
    }
}
