//! `/api/accounts`: admins list accounts, change their roles and delete them; and users delete their own.

use std::sync::Arc;

use axum::{Json, extract::State};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    access::{Admin, SignedIn},
    answers::{Answer, NoContent},
    error::ApiError,
    json_body::JsonBody,
    values::{Rfc3339, RowPath},
};
use crate::{
    auth::{
        Authenticator, Role,
        members::{self, Member},
    },
    error_code::ErrorCode,
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleRequest {
    role: Role,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteOwnRequest {
    #[schemars(with = "String")]
    password: SecretString,
}

#[derive(Serialize, JsonSchema)]
pub struct AccountsResponse {
    /// The oldest first.
    items: Vec<AccountResponse>,
}

#[derive(Serialize, JsonSchema)]
pub struct AccountResponse {
    id: Uuid,
    username: String,
    role: Role,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Rfc3339")]
    created_at: OffsetDateTime,
}

/// `GET /api/accounts`
pub async fn list(State(db): State<PgPool>, _: Admin) -> Result<Json<AccountsResponse>, ApiError> {
    let items = members::list(&db).await?.into_iter().map(AccountResponse::from).collect();
    Ok(Json(AccountsResponse { items }))
}

/// `PATCH /api/accounts/{id}`: changes the role, for the account's sessions and API keys, too.
pub async fn change_role(
    State(db): State<PgPool>,
    admin: Admin,
    RowPath(id): RowPath,
    JsonBody(request): JsonBody<RoleRequest>,
) -> Result<Json<AccountResponse>, ApiError> {
    let member = members::set_role(&db, admin.account.id, id, request.role).await?;
    tracing::info!(account = %id, role = ?member.role, by = %admin.account.id, "changed a role");
    Ok(Json(member.into()))
}

/// `DELETE /api/accounts/{id}`: deletes the account of another user. Its sessions, API keys, invites and shares end; its media stay.
pub async fn delete(State(db): State<PgPool>, admin: Admin, RowPath(id): RowPath) -> Result<NoContent, ApiError> {
    if id == admin.account.id {
        let message = "your own account takes your password: POST /api/auth/delete";
        return Err(ApiError::new(ErrorCode::OwnAccount, message));
    }
    members::delete(&db, admin.account.id, id).await?;
    tracing::info!(account = %id, by = %admin.account.id, "an account was deleted by an admin");
    Ok(Answer(()))
}

/// `POST /api/auth/delete`: deletes the user's own account, as [`delete`].
pub async fn delete_own(
    State(authenticator): State<Arc<Authenticator>>,
    user: SignedIn,
    JsonBody(request): JsonBody<DeleteOwnRequest>,
) -> Result<NoContent, ApiError> {
    authenticator.delete_own_account(user.account.id, request.password).await?;
    Ok(Answer(()))
}

impl From<Member> for AccountResponse {
    fn from(member: Member) -> Self {
        let Member { id, username, role, created_at } = member;
        Self { id, username, role, created_at }
    }
}
