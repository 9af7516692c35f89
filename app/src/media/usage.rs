//! How much each person's media take.

use sqlx::PgPool;
use uuid::Uuid;

/// What one account has uploaded. The bytes are those of the files as they are served; what is derived of them is not counted.
#[derive(Clone, Debug)]
pub struct Usage {
    pub account: Uuid,
    pub username: String,
    /// Its media stay.
    pub is_deleted: bool,
    pub media: i64,
    /// In bytes, as the next.
    pub size: i64,
    pub trash: i64,
    pub trash_size: i64,
}

/// All accounts that have uploaded something, the largest first. A rejected file is not kept, so it is not counted.
pub async fn by_account(db: &PgPool) -> sqlx::Result<Vec<Usage>> {
    sqlx::query_as!(
        Usage,
        r#"WITH used AS (
               SELECT uploader, count(*) FILTER (WHERE deleted_at IS NULL) AS media,
                   coalesce(sum(size) FILTER (WHERE deleted_at IS NULL), 0)::bigint AS size,
                   count(deleted_at) AS trash, coalesce(sum(size) FILTER (WHERE deleted_at IS NOT NULL), 0)::bigint AS trash_size
               FROM media WHERE status <> 'failed' GROUP BY uploader)
           SELECT id AS account, username, closed_at IS NOT NULL AS "is_deleted!", media AS "media!", size AS "size!",
               trash AS "trash!", trash_size AS "trash_size!"
           FROM used JOIN account ON account.id = used.uploader
           ORDER BY used.size + used.trash_size DESC, username"#
    )
    .fetch_all(db)
    .await
}
