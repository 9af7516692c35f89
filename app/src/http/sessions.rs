//! `/api/sessions`: the sessions of the user's own account.

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    access::SignedIn,
    answers::{Answer, NoContent},
    error::ApiError,
    values::{Rfc3339, RowPath},
};
use crate::auth::{Session, session};

#[derive(Serialize, JsonSchema)]
pub struct SessionsResponse {
    /// The last seen first.
    items: Vec<SessionResponse>,
}

#[derive(Serialize, JsonSchema)]
pub struct SessionResponse {
    id: Uuid,
    /// Whether the request belongs to it.
    current: bool,
    user_agent: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Rfc3339")]
    created_at: OffsetDateTime,
    /// To the minute.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Rfc3339")]
    last_seen_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Rfc3339")]
    expires_at: OffsetDateTime,
}

/// `GET /api/sessions`
pub async fn list(State(db): State<PgPool>, user: SignedIn) -> Result<Json<SessionsResponse>, ApiError> {
    let sessions = session::list(&db, user.account.id).await?;
    let items = sessions.into_iter().map(|session| SessionResponse {
        id: session.id,
        current: user.session == Session::Own(session.id),
        user_agent: session.user_agent,
        created_at: session.created_at,
        last_seen_at: session.last_seen_at,
        expires_at: session.expires_at,
    });
    Ok(Json(SessionsResponse { items: items.collect() }))
}

/// `DELETE /api/sessions/{id}`: ends a session.
pub async fn delete(State(db): State<PgPool>, user: SignedIn, RowPath(id): RowPath) -> Result<NoContent, ApiError> {
    let deleted = session::delete(&db, user.account.id, id).await?;
    if deleted { Ok(Answer(())) } else { Err(ApiError::not_found()) }
}
