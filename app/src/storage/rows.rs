//! What the commands on the storage need of the table of media.

use std::collections::{HashMap, VecDeque};

use sqlx::PgPool;

use super::Prefix;
use crate::media::{MediaId, parse_id};

/// How many rows are read at a time.
const PAGE: i64 = 1000;

/// What a row says of the stored objects of its media.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// Of its objects.
    pub(super) id: MediaId,
    pub(super) is_ready: bool,
    /// Of the original.
    pub(super) mime_type: Option<String>,
    /// Of the original, in bytes.
    pub(super) size: Option<i64>,
    /// Of the original.
    pub(super) sha256: Option<Vec<u8>>,
    pub(super) has_clipboard: bool,
}

/// All rows that can have objects with a prefix, in the order of the ids of those, a page at a time.
///
/// A rejected upload of a client to the store has none: what arrives late at its URL is never served, and is not looked at again.
pub(super) struct Rows<'a> {
    db: &'a PgPool,
    prefix: Prefix,
    page: VecDeque<Row>,
    /// The last id of the page; `None` before the first.
    last: Option<MediaId>,
    is_last_page: bool,
}

impl<'a> Rows<'a> {
    pub(super) fn new(db: &'a PgPool, prefix: Prefix) -> Self {
        Self { db, prefix, page: VecDeque::new(), last: None, is_last_page: false }
    }

    pub(super) async fn next(&mut self) -> sqlx::Result<Option<Row>> {
        if self.page.is_empty() && !self.is_last_page {
            let last = self.last.map(|id| id.to_string());
            let found = match self.prefix {
                Prefix::Private => private_page(self.db, last).await?,
                _ => page(self.db, last).await?,
            };
            self.is_last_page = (found.len() as i64) < PAGE;
            self.page = found.into_iter().map(Row::try_from).collect::<sqlx::Result<_>>()?;
            self.last = self.page.back().map(|row| row.id);
        }
        Ok(self.page.pop_front())
    }
}

/// The rows of these objects that exist, of those that [`Rows`] has.
pub(super) async fn find(db: &PgPool, prefix: Prefix, ids: &[MediaId]) -> sqlx::Result<HashMap<MediaId, Row>> {
    let ids: Vec<_> = ids.iter().map(MediaId::to_string).collect();
    let found = sqlx::query_as!(
        Columns,
        r#"SELECT CASE WHEN $2 THEN received_file ELSE coalesce(file, id) END AS "id!", status = 'ready' AS "is_ready!",
                  mime_type, size, sha256, clipboard AS has_clipboard
           FROM media
           WHERE ($2 AND received_file = ANY($1))
              OR (NOT $2 AND coalesce(file, id) = ANY($1)
                  AND NOT (status = 'failed' AND failure NOT IN ('processing_failed', 'file_missing') AND file IS NULL
                           AND declared_type IS NOT NULL
                           AND NOT EXISTS (SELECT FROM presigned_upload AS upload WHERE upload.media = media.id)))"#,
        &ids,
        prefix == Prefix::Private
    );
    let found = found.fetch_all(db).await?;
    found.into_iter().map(|row| Row::try_from(row).map(|row| (row.id, row))).collect()
}

async fn page(db: &PgPool, last: Option<String>) -> sqlx::Result<Vec<Columns>> {
    sqlx::query_as!(
        Columns,
        r#"SELECT coalesce(file, id) AS "id!", status = 'ready' AS "is_ready!", mime_type, size, sha256, clipboard AS has_clipboard
           FROM media
           WHERE ($1::text IS NULL OR coalesce(file, id) > $1 COLLATE "C")
             AND NOT (status = 'failed' AND failure NOT IN ('processing_failed', 'file_missing') AND file IS NULL
                      AND declared_type IS NOT NULL
                      AND NOT EXISTS (SELECT FROM presigned_upload AS upload WHERE upload.media = media.id))
           ORDER BY coalesce(file, id)
           LIMIT $2"#,
        last,
        PAGE
    )
    .fetch_all(db)
    .await
}

async fn private_page(db: &PgPool, last: Option<String>) -> sqlx::Result<Vec<Columns>> {
    sqlx::query_as!(
        Columns,
        r#"SELECT received_file AS "id!", status = 'ready' AS "is_ready!", mime_type, size, sha256, clipboard AS has_clipboard
           FROM media
           WHERE received_file IS NOT NULL AND ($1::text IS NULL OR received_file > $1 COLLATE "C")
           ORDER BY received_file
           LIMIT $2"#,
        last,
        PAGE
    )
    .fetch_all(db)
    .await
}

/// The ready media that has these objects.
pub(super) async fn media(db: &PgPool, id: MediaId) -> sqlx::Result<Option<MediaId>> {
    let found =
        sqlx::query_scalar!("SELECT id FROM media WHERE coalesce(file, id) = $1 AND status = 'ready'", id.to_string());
    found.fetch_optional(db).await?.as_deref().map(parse_id).transpose()
}

/// Marks a media as failed whose original is gone.
pub(super) async fn fail(db: &PgPool, id: MediaId) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE media SET status = 'failed', failure = 'file_missing', updated_at = now()
         WHERE coalesce(file, id) = $1 AND status = 'ready'",
        id.to_string()
    )
    .execute(db)
    .await?;
    Ok(())
}

struct Columns {
    id: String,
    is_ready: bool,
    mime_type: Option<String>,
    size: Option<i64>,
    sha256: Option<Vec<u8>>,
    has_clipboard: bool,
}

impl TryFrom<Columns> for Row {
    type Error = sqlx::Error;

    /// Fails only on an id that violates the table's constraint.
    fn try_from(row: Columns) -> sqlx::Result<Self> {
        let Columns { id, is_ready, mime_type, size, sha256, has_clipboard } = row;
        let id = id.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        Ok(Self { id, is_ready, mime_type, size, sha256, has_clipboard })
    }
}
