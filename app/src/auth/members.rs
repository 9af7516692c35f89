//! Queries on the `account` table by which admins manage accounts, and by which an account is deleted.
//!
//! There is always an admin. Each change locks the rows of all admins first, so of two changes at once the second sees what the first
//! has done.

use sqlx::{PgPool, PgTransaction};
use time::OffsetDateTime;
use uuid::Uuid;

use super::access::Role;

#[derive(Clone, Debug)]
pub struct Member {
    pub id: Uuid,
    pub username: String,
    pub role: Role,
    pub created_at: OffsetDateTime,
}

#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    #[error("there is no such account")]
    NotFound,
    #[error("this is the last admin; make another account an admin first")]
    LastAdmin,
    /// A concurrent request has demoted or deleted the account that asks.
    #[error("only an admin may do this")]
    NotAdmin,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// All accounts, the oldest first.
pub async fn list(db: &PgPool) -> sqlx::Result<Vec<Member>> {
    sqlx::query_as!(
        Member,
        r#"SELECT id, username, CASE WHEN bootstrap THEN 'admin' ELSE role END AS "role!: Role", created_at
           FROM account WHERE closed_at IS NULL
           ORDER BY created_at, id"#
    )
    .fetch_all(db)
    .await
}

/// Changes the role of an account, for the admin `by`. Its sessions and API keys have the new role from their next request on, and
/// invites that are not used yet end with the role of an admin.
pub async fn set_role(db: &PgPool, by: Uuid, account: Uuid, role: Role) -> Result<Member, MemberError> {
    let mut transaction = db.begin().await?;
    let admins = lock_admins(&mut transaction).await?;
    if !admins.contains(&by) {
        return Err(MemberError::NotAdmin);
    }
    if role != Role::Admin && admins == [account] {
        return Err(MemberError::LastAdmin);
    }
    // An account with `bootstrap` is an admin, also if its role is another.
    let changed = sqlx::query_as!(
        Member,
        r#"UPDATE account SET role = $2, bootstrap = bootstrap AND $2 = 'admin'
           WHERE id = $1 AND closed_at IS NULL
           RETURNING id, username, role AS "role!: Role", created_at"#,
        account,
        role as Role
    );
    let member = changed.fetch_optional(&mut *transaction).await?.ok_or(MemberError::NotFound)?;
    if role != Role::Admin {
        sqlx::query!("DELETE FROM invite WHERE created_by = $1 AND used_at IS NULL", account)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(member)
}

/// Deletes an account for itself or for the admin `by`: its sessions, API keys, invites and shares end. Its media stay, and their
/// uploader has a name that says that it is deleted; the user name is free again.
pub async fn delete(db: &PgPool, by: Uuid, account: Uuid) -> Result<(), MemberError> {
    let mut transaction = db.begin().await?;
    let admins = lock_admins(&mut transaction).await?;
    if by != account && !admins.contains(&by) {
        return Err(MemberError::NotAdmin);
    }
    if admins == [account] {
        return Err(MemberError::LastAdmin);
    }
    // Nobody can register a name with a space. No password has an empty hash.
    let deleted = sqlx::query!(
        "UPDATE account SET closed_at = now(), username = 'deleted ' || id, password_hash = '', role = 'member', bootstrap = false
         WHERE id = $1 AND closed_at IS NULL",
        account
    );
    if deleted.execute(&mut *transaction).await?.rows_affected() == 0 {
        return Err(MemberError::NotFound);
    }
    sqlx::query!("DELETE FROM session WHERE account = $1", account).execute(&mut *transaction).await?;
    sqlx::query!("DELETE FROM api_key WHERE account = $1", account).execute(&mut *transaction).await?;
    sqlx::query!("DELETE FROM invite WHERE created_by = $1", account).execute(&mut *transaction).await?;
    sqlx::query!("DELETE FROM share WHERE account = $1", account).execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

/// The ids of all admins, in their order.
async fn lock_admins(transaction: &mut PgTransaction<'_>) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!("SELECT id FROM account WHERE role = 'admin' OR bootstrap ORDER BY id FOR UPDATE")
        .fetch_all(&mut **transaction)
        .await
}
