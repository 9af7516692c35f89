//! Queries on the `session` table.

use std::collections::HashMap;

use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    access::{self, Access, Role, Scope},
    account::Account,
};
use crate::db::{self, batches::Batches};

/// Sessions of one account; a further log-in ends the one that was used the longest time ago.
const MAX_PER_ACCOUNT: i64 = 100;

#[derive(Clone, Debug)]
pub struct Session {
    pub id: Uuid,
    /// The `User-Agent` header of the log-in, shortened; empty if it had none.
    pub user_agent: String,
    pub created_at: OffsetDateTime,
    /// To the minute.
    pub last_seen_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
}

#[derive(Clone, Copy, Debug)]
pub struct NewSession {
    pub id: Uuid,
    pub expires_at: OffsetDateTime,
}

/// Creates a session of 7 days. Returns `None` if the account's password has been changed from `password_hash`.
pub async fn create(
    db: &PgPool,
    account: Uuid,
    password_hash: &str,
    user_agent: &str,
) -> sqlx::Result<Option<NewSession>> {
    sqlx::query!(
        "DELETE FROM session WHERE account = $1 AND (expires_at <= now() OR id IN (
             SELECT id FROM session WHERE account = $1 ORDER BY last_seen_at DESC OFFSET $2))",
        account,
        MAX_PER_ACCOUNT - 1
    )
    .execute(db)
    .await?;
    // The lock waits for a concurrent change of the password, which ends the sessions that it sees.
    sqlx::query_as!(
        NewSession,
        "INSERT INTO session (account, user_agent, expires_at)
         SELECT id, $3, date_trunc('second', now()) + interval '7 days' FROM account
         WHERE id = $1 AND password_hash = $2 FOR SHARE
         RETURNING id, expires_at",
        account,
        password_hash,
        user_agent
    )
    .fetch_optional(db)
    .await
}

/// Looks sessions up.
pub type Lookup = Batches<Uuid, Option<Known>>;

/// A session that has neither ended nor expired.
#[derive(Clone, Debug)]
pub struct Known {
    access: Access,
    /// It was seen for the last time more than a minute ago.
    is_unseen: bool,
}

/// Requests at the same time share a query. It only reads, so no session waits for another.
pub fn lookup(db: PgPool) -> Lookup {
    Batches::new(move |sessions| {
        let db = db.clone();
        async move { find(&db, &sessions).await }
    })
}

/// The access of a session; `None` if it has ended or expired. Records when it was last seen, once a minute at most.
pub async fn authenticate(db: &PgPool, lookup: &Lookup, account: Uuid, session: Uuid) -> sqlx::Result<Option<Access>> {
    let found = db::retried(|| lookup.run(session)).await?;
    let Some(known) = found.filter(|known| known.access.account.id == account) else { return Ok(None) };
    if known.is_unseen {
        db::retried(|| async {
            sqlx::query!(
                "UPDATE session SET last_seen_at = now()
                 WHERE id = $1 AND last_seen_at < now() - interval '1 minute'",
                session
            )
            .execute(db)
            .await
        })
        .await?;
    }
    Ok(Some(known.access))
}

async fn find(db: &PgPool, sessions: &[Uuid]) -> sqlx::Result<Vec<Option<Known>>> {
    let rows = sqlx::query!(
        r#"SELECT session.id AS session, account.id, username, CASE WHEN bootstrap THEN 'admin' ELSE role END AS "role!: Role",
               last_seen_at < now() - interval '1 minute' AS "is_unseen!"
           FROM session JOIN account ON account.id = session.account
           WHERE session.id = ANY ($1) AND expires_at > now() AND closed_at IS NULL"#,
        sessions
    );
    let known: HashMap<Uuid, Known> = rows
        .fetch_all(db)
        .await?
        .into_iter()
        .map(|row| {
            let access = Access {
                account: Account { id: row.id, username: row.username },
                role: row.role,
                scopes: Scope::ALL.into(),
                session: Some(access::Session::Own(row.session)),
            };
            (row.session, Known { access, is_unseen: row.is_unseen })
        })
        .collect();
    Ok(sessions.iter().map(|session| known.get(session).cloned()).collect())
}

/// The sessions of an account, the last seen first.
pub async fn list(db: &PgPool, account: Uuid) -> sqlx::Result<Vec<Session>> {
    sqlx::query_as!(
        Session,
        "SELECT id, user_agent, created_at, last_seen_at, expires_at FROM session
         WHERE account = $1 AND expires_at > now()
         ORDER BY last_seen_at DESC, id",
        account
    )
    .fetch_all(db)
    .await
}

/// Ends a session. Returns false if the account has no such session.
pub async fn delete(db: &PgPool, account: Uuid, session: Uuid) -> sqlx::Result<bool> {
    let result =
        sqlx::query!("DELETE FROM session WHERE id = $1 AND account = $2", session, account).execute(db).await?;
    Ok(result.rows_affected() == 1)
}
