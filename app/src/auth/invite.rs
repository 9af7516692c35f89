//! Queries on the `invite` table.

use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{access::Role, secret_token};

#[derive(Clone, Debug)]
pub struct Invite {
    pub id: Uuid,
    /// The role of the account that it makes.
    pub role: Role,
    /// User name.
    pub created_by: String,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    pub used_at: Option<OffsetDateTime>,
    /// User name.
    pub used_by: Option<String>,
}

pub struct NewInvite {
    pub id: Uuid,
    pub token: SecretString,
    pub expires_at: OffsetDateTime,
}

/// Creates an invite that expires after `lifetime_days`.
pub async fn create(db: &PgPool, created_by: Uuid, role: Role, lifetime_days: i32) -> sqlx::Result<NewInvite> {
    let token = secret_token::generate("");
    let row = sqlx::query!(
        "INSERT INTO invite (token_sha256, role, created_by, expires_at)
         VALUES ($1, $2, $3, date_trunc('second', now()) + make_interval(days => $4))
         RETURNING id, expires_at",
        secret_token::sha256(token.expose_secret()),
        role as Role,
        created_by,
        lifetime_days
    )
    .fetch_one(db)
    .await?;
    Ok(NewInvite { id: row.id, token, expires_at: row.expires_at })
}

/// Whether the invite can be used now: as long as its creator is an admin.
pub async fn is_valid(db: &PgPool, token_sha256: &[u8]) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM invite WHERE token_sha256 = $1 AND used_at IS NULL AND expires_at > now()
               AND created_by IN (SELECT id FROM account WHERE (role = 'admin' OR bootstrap) AND closed_at IS NULL)) AS "valid!""#,
        token_sha256
    )
    .fetch_one(db)
    .await
}

/// All invites, the newest first: also those that are used or have expired.
pub async fn list(db: &PgPool) -> sqlx::Result<Vec<Invite>> {
    sqlx::query_as!(
        Invite,
        r#"SELECT invite.id, invite.role AS "role: Role", creator.username AS created_by, invite.created_at,
                  invite.expires_at, invite.used_at, invited.username AS "used_by?"
           FROM invite JOIN account creator ON creator.id = invite.created_by
                       LEFT JOIN account invited ON invited.id = invite.used_by
           ORDER BY invite.created_at DESC, invite.id"#
    )
    .fetch_all(db)
    .await
}

/// Deletes an invite; the account that a used one made stays. Returns false if there is no such invite.
pub async fn delete(db: &PgPool, id: Uuid) -> sqlx::Result<bool> {
    let result = sqlx::query!("DELETE FROM invite WHERE id = $1", id).execute(db).await?;
    Ok(result.rows_affected() == 1)
}
