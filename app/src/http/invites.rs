//! `/api/invites`: admins invite others.

use axum::{Json, extract::State};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    access::Admin,
    answers::{Answer, NoContent, NoStore},
    error::ApiError,
    json_body::JsonBody,
    values::{Rfc3339, RowPath},
};
use crate::{
    auth::{
        Role,
        invite::{self, Invite},
    },
    error_code::ErrorCode,
};

const DEFAULT_LIFETIME_DAYS: i32 = 7;

const MAX_LIFETIME_DAYS: i32 = 30;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InviteRequest {
    /// The role of the account that it makes; `member` if missing.
    role: Option<Role>,
    /// 7 if missing.
    #[schemars(range(min = 1, max = MAX_LIFETIME_DAYS))]
    lifetime_days: Option<i32>,
}

#[derive(Serialize, JsonSchema)]
pub struct NewInviteResponse {
    id: Uuid,
    /// For `POST /api/auth/register`. It is not shown again.
    token: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Rfc3339")]
    expires_at: OffsetDateTime,
}

#[derive(Serialize, JsonSchema)]
pub struct InvitesResponse {
    /// The newest first.
    items: Vec<InviteResponse>,
}

#[derive(Serialize, JsonSchema)]
pub struct InviteResponse {
    id: Uuid,
    role: Role,
    /// User name.
    created_by: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Rfc3339")]
    expires_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Rfc3339>")]
    used_at: Option<OffsetDateTime>,
    /// User name; that of a deleted account says so.
    used_by: Option<String>,
}

/// `POST /api/invites`: creates an invite, which makes one account.
pub async fn create(
    State(db): State<PgPool>,
    admin: Admin,
    JsonBody(request): JsonBody<InviteRequest>,
) -> Result<Answer<201, NoStore<NewInviteResponse>>, ApiError> {
    let lifetime_days = request.lifetime_days.unwrap_or(DEFAULT_LIFETIME_DAYS);
    if !(1..=MAX_LIFETIME_DAYS).contains(&lifetime_days) {
        let message = format!("lifetime_days must be a number from 1 to {MAX_LIFETIME_DAYS}");
        return Err(ApiError::new(ErrorCode::InvalidLifetime, message));
    }
    let role = request.role.unwrap_or(Role::Member);
    let invite = invite::create(&db, admin.account.id, role, lifetime_days).await?;
    let body = NewInviteResponse {
        id: invite.id,
        token: invite.token.expose_secret().to_owned(),
        expires_at: invite.expires_at,
    };
    Ok(Answer(NoStore(body)))
}

/// `GET /api/invites`: all invites, also those that are used or have expired.
pub async fn list(State(db): State<PgPool>, _: Admin) -> Result<Json<InvitesResponse>, ApiError> {
    let items = invite::list(&db).await?.into_iter().map(InviteResponse::from).collect();
    Ok(Json(InvitesResponse { items }))
}

/// `DELETE /api/invites/{id}`: revokes an invite. The account that a used one made stays.
pub async fn delete(State(db): State<PgPool>, _: Admin, RowPath(id): RowPath) -> Result<NoContent, ApiError> {
    let deleted = invite::delete(&db, id).await?;
    if deleted { Ok(Answer(())) } else { Err(ApiError::not_found()) }
}

impl From<Invite> for InviteResponse {
    fn from(invite: Invite) -> Self {
        Self {
            id: invite.id,
            role: invite.role,
            created_by: invite.created_by,
            created_at: invite.created_at,
            expires_at: invite.expires_at,
            used_at: invite.used_at,
            used_by: invite.used_by,
        }
    }
}
