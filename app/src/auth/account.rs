//! Queries on the `account` table.

use sqlx::PgPool;
use uuid::Uuid;

#[derive(Clone, Debug)]
pub struct Account {
    pub id: Uuid,
    /// Spelled as registered; compared case-insensitively.
    pub username: String,
}

pub struct Credentials {
    pub account: Account,
    /// An Argon2 hash in PHC format.
    pub password_hash: String,
}

pub async fn any_exists(db: &PgPool) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM account) AS "any!""#).fetch_one(db).await
}

/// Creates the first account. Returns `None` if an account already exists, including one that a concurrent request has
/// just created.
pub async fn create_first(db: &PgPool, username: &str, password_hash: &str) -> sqlx::Result<Option<Account>> {
    sqlx::query_as!(
        Account,
        "INSERT INTO account (username, password_hash, bootstrap)
         SELECT $1, $2, true WHERE NOT EXISTS (SELECT FROM account)
         ON CONFLICT DO NOTHING
         RETURNING id, username",
        username,
        password_hash
    )
    .fetch_optional(db)
    .await
}

/// Finds an account by user name, case-insensitively.
pub async fn find_credentials(db: &PgPool, username: &str) -> sqlx::Result<Option<Credentials>> {
    let row =
        sqlx::query!("SELECT id, username, password_hash FROM account WHERE lower(username) = lower($1)", username)
            .fetch_optional(db)
            .await?;
    Ok(row.map(|row| Credentials {
        account: Account { id: row.id, username: row.username },
        password_hash: row.password_hash,
    }))
}

pub async fn find(db: &PgPool, id: Uuid) -> sqlx::Result<Option<Account>> {
    sqlx::query_as!(Account, "SELECT id, username FROM account WHERE id = $1", id).fetch_optional(db).await
}
