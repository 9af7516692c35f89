//! Accounts: every query on their table.

use sqlx::PgPool;
use uuid::Uuid;

/// Who is signed in.
#[derive(Clone, Debug)]
pub struct Account {
    /// The account's id.
    pub id: Uuid,
    /// The name it logs in with, as it was registered; compared without regard to case.
    pub username: String,
}

/// An account with what is needed to check its password.
pub struct Credentials {
    /// The account.
    pub account: Account,
    /// An Argon2 hash in PHC format.
    pub password_hash: String,
}

/// Whether there is any account yet.
///
/// # Errors
/// When the database does not answer.
pub async fn any(db: &PgPool) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM account) AS "any!""#).fetch_one(db).await
}

/// Makes the first account; `None` when there already is one, also when it was made at this very moment.
///
/// # Errors
/// When the database does not answer.
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

/// The account of a user name, without regard to case.
///
/// # Errors
/// When the database does not answer.
pub async fn credentials(db: &PgPool, username: &str) -> sqlx::Result<Option<Credentials>> {
    let row =
        sqlx::query!("SELECT id, username, password_hash FROM account WHERE lower(username) = lower($1)", username)
            .fetch_optional(db)
            .await?;
    Ok(row.map(|row| Credentials {
        account: Account { id: row.id, username: row.username },
        password_hash: row.password_hash,
    }))
}

/// The account of an id.
///
/// # Errors
/// When the database does not answer.
pub async fn by_id(db: &PgPool, id: Uuid) -> sqlx::Result<Option<Account>> {
    sqlx::query_as!(Account, "SELECT id, username FROM account WHERE id = $1", id).fetch_optional(db).await
}
