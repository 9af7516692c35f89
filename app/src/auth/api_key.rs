//! Queries on the `api_key` table.

use std::collections::{BTreeSet, HashMap};

use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    access::{Access, Role, Scope, Session},
    account::Account,
    secret_token,
};
use crate::db::{self, batches::Batches};

/// Every API key begins with it, so that scanners for leaked secrets recognise one.
pub const PREFIX: &str = "meemi_key_";

#[derive(Clone, Debug)]
pub struct ApiKey {
    pub id: Uuid,
    pub name: String,
    pub scopes: BTreeSet<Scope>,
    pub created_at: OffsetDateTime,
    /// To the minute; `None` if it was never used.
    pub last_used_at: Option<OffsetDateTime>,
    /// `None` if it does not expire.
    pub expires_at: Option<OffsetDateTime>,
}

/// Creates an API key of the session's account that expires after `lifetime_days`, or never. Returns it with its token; `None` if the
/// session has ended, as it may have since the request began. Of one at Supabase, only the account is looked at.
pub async fn create(
    db: &PgPool,
    account: Uuid,
    session: Session,
    name: &str,
    scopes: &BTreeSet<Scope>,
    lifetime_days: Option<i32>,
) -> sqlx::Result<Option<(ApiKey, SecretString)>> {
    let token = secret_token::generate(PREFIX);
    let scopes: Vec<_> = scopes.iter().map(|scope| scope.name().to_owned()).collect();
    // The lock waits for who ends the session, or closes the account, at this moment.
    let row = match session {
        Session::Own(session) => {
            let insert = sqlx::query_as!(
                Row,
                "INSERT INTO api_key (account, name, token_sha256, scopes, expires_at)
                 SELECT account, $2, $3, $4, date_trunc('second', now()) + make_interval(days => $5)
                 FROM session WHERE id = $1 AND expires_at > now() FOR KEY SHARE
                 RETURNING id, name, scopes, created_at, last_used_at, expires_at",
                session,
                name,
                secret_token::sha256(token.expose_secret()),
                &scopes,
                lifetime_days
            );
            insert.fetch_optional(db).await?
        }
        Session::OfSupabase => {
            let insert = sqlx::query_as!(
                Row,
                "INSERT INTO api_key (account, name, token_sha256, scopes, expires_at)
                 SELECT id, $2, $3, $4, date_trunc('second', now()) + make_interval(days => $5)
                 FROM account WHERE id = $1 AND closed_at IS NULL FOR SHARE
                 RETURNING id, name, scopes, created_at, last_used_at, expires_at",
                account,
                name,
                secret_token::sha256(token.expose_secret()),
                &scopes,
                lifetime_days
            );
            insert.fetch_optional(db).await?
        }
    };
    row.map(|row| Ok((row.try_into()?, token))).transpose()
}

/// Looks API keys up by the SHA-256 of their tokens.
pub type Lookup = Batches<Vec<u8>, Option<Known>>;

/// A key that exists and has not expired.
#[derive(Clone, Debug)]
pub struct Known {
    access: Access,
    /// It was used for the last time more than a minute ago.
    is_unseen: bool,
}

/// Requests at the same time share a query. It only reads, so no key waits for another.
pub fn lookup(db: PgPool) -> Lookup {
    Batches::new(move |tokens| {
        let db = db.clone();
        async move { find(&db, &tokens).await }
    })
}

/// The access of an API key; `None` if it does not exist or has expired. Records when it was last used, once a minute at most.
pub async fn authenticate(db: &PgPool, lookup: &Lookup, token: &str) -> sqlx::Result<Option<Access>> {
    let sha256 = secret_token::sha256(token);
    let Some(key) = db::retried(|| lookup.run(sha256.clone())).await? else { return Ok(None) };
    if key.is_unseen {
        db::retried(|| async {
            sqlx::query!(
                "UPDATE api_key SET last_used_at = now()
                 WHERE token_sha256 = $1 AND (last_used_at < now() - interval '1 minute' OR last_used_at IS NULL)",
                sha256
            )
            .execute(db)
            .await
        })
        .await?;
    }
    Ok(Some(key.access))
}

async fn find(db: &PgPool, tokens: &[Vec<u8>]) -> sqlx::Result<Vec<Option<Known>>> {
    let rows = sqlx::query!(
        r#"SELECT token_sha256, scopes, account.id, username, CASE WHEN bootstrap THEN 'admin' ELSE role END AS "role!: Role",
               last_used_at IS NULL OR last_used_at < now() - interval '1 minute' AS "is_unseen!"
           FROM api_key JOIN account ON account.id = api_key.account
           WHERE token_sha256 = ANY ($1) AND (expires_at > now() OR expires_at IS NULL) AND closed_at IS NULL"#,
        tokens
    );
    let mut known = HashMap::new();
    for row in rows.fetch_all(db).await? {
        let access = Access {
            account: Account { id: row.id, username: row.username },
            role: row.role,
            scopes: parse_scopes(&row.scopes)?,
            session: None,
        };
        known.insert(row.token_sha256, Known { access, is_unseen: row.is_unseen });
    }
    Ok(tokens.iter().map(|token| known.get(token).cloned()).collect())
}

/// The API keys of an account, the newest first: also those that have expired.
pub async fn list(db: &PgPool, account: Uuid) -> sqlx::Result<Vec<ApiKey>> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, name, scopes, created_at, last_used_at, expires_at FROM api_key
         WHERE account = $1
         ORDER BY created_at DESC, id",
        account
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(ApiKey::try_from).collect()
}

/// Revokes an API key. Returns false if the account has no such key.
pub async fn delete(db: &PgPool, account: Uuid, id: Uuid) -> sqlx::Result<bool> {
    let result = sqlx::query!("DELETE FROM api_key WHERE id = $1 AND account = $2", id, account).execute(db).await?;
    Ok(result.rows_affected() == 1)
}

/// A row with the column types of the database.
struct Row {
    id: Uuid,
    name: String,
    scopes: Vec<String>,
    created_at: OffsetDateTime,
    last_used_at: Option<OffsetDateTime>,
    expires_at: Option<OffsetDateTime>,
}

impl TryFrom<Row> for ApiKey {
    type Error = sqlx::Error;

    /// Fails only on values that violate the table's constraints.
    fn try_from(row: Row) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.id,
            name: row.name,
            scopes: parse_scopes(&row.scopes)?,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            expires_at: row.expires_at,
        })
    }
}

fn parse_scopes(names: &[String]) -> sqlx::Result<BTreeSet<Scope>> {
    let parse = |name: &String| {
        let scope = Scope::ALL.into_iter().find(|scope| scope.name() == name);
        scope.ok_or_else(|| sqlx::Error::Decode(format!("unknown scope {name:?}").into()))
    };
    names.iter().map(parse).collect()
}
