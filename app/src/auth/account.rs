//! Queries on the `account` table.

use sqlx::PgPool;
use uuid::Uuid;

use super::access::Role;

#[derive(Clone, Debug)]
pub struct Account {
    pub id: Uuid,
    /// Spelled as registered; compared case-insensitively.
    pub username: String,
}

pub struct Credentials {
    pub account: Uuid,
    /// An Argon2 hash in PHC format.
    pub password_hash: String,
}

/// The outcome of a registration with an invite.
pub enum Invited {
    Created(Uuid),
    /// The invite does not exist, has expired, or was used, perhaps by a concurrent request.
    InvalidInvite,
    UsernameTaken,
}

pub async fn any_exists(db: &PgPool) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM account) AS "any!""#).fetch_one(db).await
}

/// Creates the first account, an admin. Returns `None` if an account already exists, including one that a concurrent request
/// has just created.
pub async fn create_first(db: &PgPool, username: &str, password_hash: &str) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        "INSERT INTO account (username, password_hash, bootstrap, role)
         SELECT $1, $2, true, $3 WHERE NOT EXISTS (SELECT FROM account)
         ON CONFLICT DO NOTHING
         RETURNING id",
        username,
        password_hash,
        Role::Admin as Role
    )
    .fetch_optional(db)
    .await
}

/// Uses up the invite and creates its account, both or neither.
pub async fn create_invited(
    db: &PgPool,
    username: &str,
    password_hash: &str,
    invite_sha256: &[u8],
) -> sqlx::Result<Invited> {
    let created = sqlx::query_scalar!(
        "WITH new AS MATERIALIZED (SELECT gen_random_uuid() AS id),
              used AS (UPDATE invite SET used_at = now(), used_by = new.id FROM new
                       WHERE token_sha256 = $1 AND used_at IS NULL AND expires_at > now()
                       AND created_by IN (SELECT id FROM account WHERE (role = 'admin' OR bootstrap) AND closed_at IS NULL)
                       RETURNING new.id, role)
         INSERT INTO account (id, username, password_hash, role) SELECT id, $2, $3, role FROM used
         RETURNING id",
        invite_sha256,
        username,
        password_hash
    )
    .fetch_optional(db)
    .await;
    match created {
        Ok(Some(id)) => Ok(Invited::Created(id)),
        Ok(None) => Ok(Invited::InvalidInvite),
        Err(sqlx::Error::Database(error)) if error.constraint() == Some("account_username") => {
            Ok(Invited::UsernameTaken)
        }
        Err(error) => Err(error),
    }
}

/// The account of a user of Supabase, with its role; made if there is none. `None` if it is deleted. A name that another account has is
/// not given twice: the id is the name then, as it is of a user without one.
pub async fn find_or_create(db: &PgPool, id: Uuid, name: Option<&str>) -> sqlx::Result<Option<(Account, Role)>> {
    // Between a look and an insert another account may take the name, and another request may make this one.
    for name in [name, None] {
        if let Some(found) = find_open(db, id).await? {
            return Ok(Some(found));
        }
        // No password has an empty hash.
        let insert = sqlx::query!(
            "INSERT INTO account (id, username, password_hash)
             SELECT new.id, CASE WHEN name IS NULL OR EXISTS (SELECT FROM account WHERE lower(username) = lower(name))
                                 THEN new.id::text ELSE name END, ''
             FROM (SELECT $1::uuid AS id, $2::text AS name) AS new
             ON CONFLICT DO NOTHING",
            id,
            name as Option<&str>
        );
        if insert.execute(db).await?.rows_affected() == 1 {
            tracing::info!(account = %id, "saw a user of Supabase for the first time");
        }
    }
    find_open(db, id).await
}

/// Makes an account an admin, as its claims say. It stays one until another admin makes it a member.
pub async fn make_admin(db: &PgPool, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("UPDATE account SET role = 'admin' WHERE id = $1 AND closed_at IS NULL", id)
        .execute(db)
        .await
        .map(drop)
}

async fn find_open(db: &PgPool, id: Uuid) -> sqlx::Result<Option<(Account, Role)>> {
    let row = sqlx::query!(
        r#"SELECT id, username, CASE WHEN bootstrap THEN 'admin' ELSE role END AS "role!: Role"
           FROM account WHERE id = $1 AND closed_at IS NULL"#,
        id
    );
    let row = row.fetch_optional(db).await?;
    Ok(row.map(|row| (Account { id: row.id, username: row.username }, row.role)))
}

/// Finds an account by user name, case-insensitively.
pub async fn find_credentials(db: &PgPool, username: &str) -> sqlx::Result<Option<Credentials>> {
    sqlx::query_as!(
        Credentials,
        "SELECT id AS account, password_hash FROM account WHERE lower(username) = lower($1)",
        username
    )
    .fetch_optional(db)
    .await
}

pub async fn password_hash(db: &PgPool, id: Uuid) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("SELECT password_hash FROM account WHERE id = $1", id).fetch_optional(db).await
}

/// Replaces the password and ends all sessions but one. Returns false if the password is not `old_hash` any more.
pub async fn replace_password(
    db: &PgPool,
    id: Uuid,
    old_hash: &str,
    new_hash: &str,
    kept_session: Uuid,
) -> sqlx::Result<bool> {
    let mut transaction = db.begin().await?;
    let changed = sqlx::query!(
        "UPDATE account SET password_hash = $3 WHERE id = $1 AND password_hash = $2",
        id,
        old_hash,
        new_hash
    )
    .execute(&mut *transaction)
    .await?;
    if changed.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query!("DELETE FROM session WHERE account = $1 AND id <> $2", id, kept_session)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(true)
}
