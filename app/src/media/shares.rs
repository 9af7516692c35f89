//! Share links: what guests see without an account.
//!
//! A share names its media, so it shows them as they are: what is in the trash is not shown, what is restored is again, and what is
//! deleted leaves the share. Revoking a share deletes its row.

use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Kind, MediaId, parse_id};
use crate::auth::secret_token;

/// Shares of one account.
pub const MAX_PER_ACCOUNT: i64 = 1000;

/// A share to create.
#[derive(Debug)]
pub struct NewShare<'a> {
    /// Account id.
    pub account: Uuid,
    pub title: &'a str,
    /// In the order in which guests see them; none twice.
    pub items: &'a [MediaId],
    /// An Argon2 hash in PHC format; `None` if no password is asked for.
    pub password_hash: Option<&'a str>,
    /// `None` if it does not expire.
    pub expires_at: Option<OffsetDateTime>,
}

pub enum Created {
    /// With its token, which is not stored.
    New(Share, SecretString),
    /// One of the items does not exist, has failed, or is in the trash.
    UnknownItem,
    /// The account has [`MAX_PER_ACCOUNT`] shares.
    TooMany,
}

/// A share as its maker sees it.
#[derive(Clone, Debug)]
pub struct Share {
    pub id: Uuid,
    pub title: String,
    /// User name.
    pub created_by: String,
    pub created_at: OffsetDateTime,
    /// `None` if it does not expire.
    pub expires_at: Option<OffsetDateTime>,
    pub has_password: bool,
    pub items: i64,
    /// How many of the items guests see: those that are ready and not in the trash.
    pub shown: i64,
}

/// A share that a token opens.
pub struct OpenShare {
    pub id: Uuid,
    pub title: String,
    pub password_hash: Option<String>,
    /// `None` if it does not expire.
    pub expires_at: Option<OffsetDateTime>,
}

/// What guests learn of a media.
#[derive(Clone, Debug)]
pub struct SharedItem {
    /// The id of its stored objects.
    pub file: MediaId,
    pub name: String,
    pub kind: Kind,
    pub mime_type: String,
    /// Size of the original, in bytes.
    pub size: i64,
    /// In pixels, as displayed.
    pub width: i32,
    /// In pixels, as displayed.
    pub height: i32,
    pub thumbhash: Option<Vec<u8>>,
    /// Whether there is a PNG for the clipboard.
    pub has_clipboard: bool,
    /// In milliseconds; `None` for pictures.
    pub duration_ms: Option<i64>,
    pub updated_at: OffsetDateTime,
}

/// Creates a share with all of its items, or nothing.
pub async fn create(db: &PgPool, new: &NewShare<'_>) -> sqlx::Result<Created> {
    let token = secret_token::generate("");
    let ids: Vec<String> = new.items.iter().map(ToString::to_string).collect();
    let mut transaction = db.begin().await?;
    let inserted = sqlx::query_scalar!(
        "INSERT INTO share (account, title, token_sha256, password_hash, expires_at)
         SELECT $1, $2, $3, $4, $5 WHERE (SELECT count(*) FROM share WHERE account = $1) < $6
         RETURNING id",
        new.account,
        new.title,
        secret_token::sha256(token.expose_secret()),
        new.password_hash,
        new.expires_at,
        MAX_PER_ACCOUNT
    );
    let Some(id) = inserted.fetch_optional(&mut *transaction).await? else { return Ok(Created::TooMany) };
    // The locks are taken in the order of the ids, as other transactions do, and keep the media until the share names them.
    let items = sqlx::query!(
        "INSERT INTO share_item (share, media, place)
         SELECT $1, media.id, item.place
         FROM unnest($2::text[]) WITH ORDINALITY AS item (media, place) JOIN media ON media.id = item.media
         WHERE deleted_at IS NULL AND status <> 'failed'
         ORDER BY media.id FOR KEY SHARE OF media",
        id,
        &ids
    );
    if items.execute(&mut *transaction).await?.rows_affected() != ids.len() as u64 {
        return Ok(Created::UnknownItem);
    }
    let share = list_by(&mut *transaction, None, Some(id)).await?.pop().ok_or(sqlx::Error::RowNotFound)?;
    transaction.commit().await?;
    Ok(Created::New(share, token))
}

/// The shares of an account, or all, the newest first: also those that have expired.
pub async fn list(db: &PgPool, account: Option<Uuid>) -> sqlx::Result<Vec<Share>> {
    list_by(db, account, None).await
}

/// Revokes a share, if it is of this account or `account` is `None`. Returns false if there is no such share.
pub async fn delete(db: &PgPool, id: Uuid, account: Option<Uuid>) -> sqlx::Result<bool> {
    let deleted =
        sqlx::query!("DELETE FROM share WHERE id = $1 AND ($2::uuid IS NULL OR account = $2)", id, account).execute(db);
    Ok(deleted.await?.rows_affected() == 1)
}

/// The share that a token opens; `None` if the token is unknown or revoked, or if the share has expired.
pub async fn find(db: &PgPool, token: &str) -> sqlx::Result<Option<OpenShare>> {
    // The account may have been deleted while this share was made.
    sqlx::query_as!(
        OpenShare,
        "SELECT share.id, title, share.password_hash, expires_at
         FROM share JOIN account ON account.id = share.account
         WHERE token_sha256 = $1 AND (expires_at IS NULL OR expires_at > now()) AND account.closed_at IS NULL",
        secret_token::sha256(token)
    )
    .fetch_optional(db)
    .await
}

/// The items that guests see, in their order.
pub async fn items(db: &PgPool, share: Uuid) -> sqlx::Result<Vec<SharedItem>> {
    let rows = sqlx::query!(
        r#"SELECT coalesce(file, id) AS "file!", name, kind, mime_type AS "mime_type!", size AS "size!", width AS "width!",
                  height AS "height!", thumbhash, clipboard, duration_ms, updated_at
           FROM share_item JOIN media ON media.id = share_item.media
           WHERE share = $1 AND status = 'ready' AND deleted_at IS NULL
           ORDER BY place"#,
        share
    );
    let rows = rows.fetch_all(db).await?.into_iter().map(|row| {
        Ok(SharedItem {
            file: parse_id(&row.file)?,
            name: row.name,
            kind: row.kind.parse().map_err(|()| sqlx::Error::Decode("unknown kind of media".into()))?,
            mime_type: row.mime_type,
            size: row.size,
            width: row.width,
            height: row.height,
            thumbhash: row.thumbhash,
            has_clipboard: row.clipboard,
            duration_ms: row.duration_ms,
            updated_at: row.updated_at,
        })
    });
    rows.collect()
}

async fn list_by(db: impl sqlx::PgExecutor<'_>, account: Option<Uuid>, id: Option<Uuid>) -> sqlx::Result<Vec<Share>> {
    sqlx::query_as!(
        Share,
        r#"SELECT share.id, title, username AS created_by, share.created_at, expires_at,
                  share.password_hash IS NOT NULL AS "has_password!", items AS "items!", shown AS "shown!"
           FROM share JOIN account ON account.id = share.account
           CROSS JOIN LATERAL (
               SELECT count(*) AS items, count(*) FILTER (WHERE status = 'ready' AND media.deleted_at IS NULL) AS shown
               FROM share_item JOIN media ON media.id = share_item.media
               WHERE share_item.share = share.id) AS item
           WHERE ($1::uuid IS NULL OR account.id = $1) AND ($2::uuid IS NULL OR share.id = $2)
           ORDER BY share.created_at DESC, share.id"#,
        account,
        id
    )
    .fetch_all(db)
    .await
}
