//! `/api/api-keys`: the API keys of the user's own account, for programs.

use std::collections::BTreeSet;

use axum::{Json, extract::State};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    access::SignedIn,
    answers::{Answer, NoContent, NoStore},
    error::ApiError,
    json_body::JsonBody,
    values::{Rfc3339, RowPath},
};
use crate::{
    auth::{
        Scope,
        api_key::{self, ApiKey},
    },
    error_code::ErrorCode,
    validate,
};

const MAX_NAME_CHARS: usize = 100;

const MAX_LIFETIME_DAYS: i32 = 3650;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyRequest {
    /// For its owner to recognise it.
    #[schemars(length(min = 1, max = MAX_NAME_CHARS), regex(pattern = validate::TAG_PATTERN))]
    name: String,
    #[schemars(with = "Vec<Scope>", length(min = 1))]
    scopes: BTreeSet<Scope>,
    /// It does not expire if missing.
    #[schemars(range(min = 1, max = MAX_LIFETIME_DAYS))]
    lifetime_days: Option<i32>,
}

#[derive(Serialize, JsonSchema)]
pub struct NewApiKeyResponse {
    /// The bearer token. It is not shown again.
    token: String,
    #[serde(flatten)]
    key: ApiKeyResponse,
}

#[derive(Serialize, JsonSchema)]
pub struct ApiKeysResponse {
    /// The newest first.
    items: Vec<ApiKeyResponse>,
}

#[derive(Serialize, JsonSchema)]
pub struct ApiKeyResponse {
    id: Uuid,
    name: String,
    scopes: BTreeSet<Scope>,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Rfc3339")]
    created_at: OffsetDateTime,
    /// To the minute; `null` if it was never used.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Rfc3339>")]
    last_used_at: Option<OffsetDateTime>,
    /// `null` if it does not expire.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Rfc3339>")]
    expires_at: Option<OffsetDateTime>,
}

/// `POST /api/api-keys`: creates an API key.
pub async fn create(
    State(db): State<PgPool>,
    user: SignedIn,
    JsonBody(ApiKeyRequest { name, scopes, lifetime_days }): JsonBody<ApiKeyRequest>,
) -> Result<Answer<201, NoStore<NewApiKeyResponse>>, ApiError> {
    if !(1..=MAX_NAME_CHARS).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        let message = format!("a name must have 1 to {MAX_NAME_CHARS} characters and no control characters");
        return Err(ApiError::new(ErrorCode::InvalidName, message));
    }
    if scopes.is_empty() {
        return Err(ApiError::new(ErrorCode::InvalidScopes, "an API key needs at least one scope"));
    }
    if lifetime_days.is_some_and(|days| !(1..=MAX_LIFETIME_DAYS).contains(&days)) {
        let message = format!("lifetime_days must be a number from 1 to {MAX_LIFETIME_DAYS}, or missing");
        return Err(ApiError::new(ErrorCode::InvalidLifetime, message));
    }
    let created = api_key::create(&db, user.account.id, user.session, &name, &scopes, lifetime_days).await?;
    let (key, token) = created.ok_or_else(ApiError::unauthorized)?;
    let body = NewApiKeyResponse { token: token.expose_secret().to_owned(), key: key.into() };
    Ok(Answer(NoStore(body)))
}

/// `GET /api/api-keys`: also those that have expired.
pub async fn list(State(db): State<PgPool>, user: SignedIn) -> Result<Json<ApiKeysResponse>, ApiError> {
    let items = api_key::list(&db, user.account.id).await?.into_iter().map(ApiKeyResponse::from).collect();
    Ok(Json(ApiKeysResponse { items }))
}

/// `DELETE /api/api-keys/{id}`: revokes an API key.
pub async fn delete(State(db): State<PgPool>, user: SignedIn, RowPath(id): RowPath) -> Result<NoContent, ApiError> {
    let deleted = api_key::delete(&db, user.account.id, id).await?;
    if deleted { Ok(Answer(())) } else { Err(ApiError::not_found()) }
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
