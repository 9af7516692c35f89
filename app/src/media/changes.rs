//! Changes by users: names, descriptions, tags, the trash.

use sqlx::PgPool;

use super::{MediaId, parse_id};

/// What becomes of a media; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub name: Option<String>,
    pub description: Option<String>,
    /// All tags, in the place of those it has.
    pub tags: Option<Vec<String>>,
}

/// What is done to many media at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bulk {
    /// Adds these tags.
    Tag(Vec<String>),
    /// Removes these tags.
    Untag(Vec<String>),
    /// Moves to the trash.
    Trash,
    /// Takes out of the trash.
    Restore,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    Done,
    /// Another request changed it first: it has another version.
    OtherVersion,
    NotFound,
}

/// Changes one media, if `version` is `None` or the one it has.
pub async fn change(db: &PgPool, id: MediaId, version: Option<i32>, change: &Change) -> sqlx::Result<Changed> {
    let changed = sqlx::query!(
        "UPDATE media SET name = coalesce($3, name), description = coalesce($4, description), tags = coalesce($5, tags),
             version = version + 1, updated_at = now()
         WHERE id = $1 AND ($2::integer IS NULL OR version = $2)",
        id.to_string(),
        version,
        change.name,
        change.description,
        change.tags.as_deref()
    )
    .execute(db)
    .await?;
    if changed.rows_affected() == 1 {
        return Ok(Changed::Done);
    }
    Ok(if super::exists(db, id).await? { Changed::OtherVersion } else { Changed::NotFound })
}

/// Changes many media in one transaction. Returns the ids of those that it changed: of the others there is none, or they have
/// been so already.
pub async fn change_all(db: &PgPool, ids: &[MediaId], bulk: &Bulk) -> sqlx::Result<Vec<MediaId>> {
    let (add, remove, trash) = match bulk {
        Bulk::Tag(tags) => (tags.as_slice(), &[][..], None),
        Bulk::Untag(tags) => (&[][..], tags.as_slice(), None),
        Bulk::Trash => (&[][..], &[][..], Some(true)),
        Bulk::Restore => (&[][..], &[][..], Some(false)),
    };
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let changed = sqlx::query_scalar!(
        "WITH next AS (
             SELECT media.id, array(
                 SELECT tag FROM unnest(tags || $2::text[]) WITH ORDINALITY AS t (tag, place)
                 WHERE NOT tag = ANY ($3::text[]) GROUP BY tag ORDER BY min(place)) AS tags
             FROM media WHERE media.id = ANY ($1) ORDER BY media.id FOR UPDATE)
         UPDATE media SET tags = next.tags, version = version + 1, updated_at = now(),
             deleted_at = CASE $4::boolean WHEN true THEN now() WHEN false THEN NULL ELSE deleted_at END
         FROM next
         WHERE media.id = next.id
           AND (media.tags IS DISTINCT FROM next.tags OR (deleted_at IS NOT NULL) <> $4)
           AND cardinality(next.tags) <= 100
         RETURNING media.id",
        &ids,
        add,
        remove,
        trash
    );
    changed.fetch_all(db).await?.iter().map(|id| parse_id(id)).collect()
}

/// Media that have been in the trash for longer than this many days, at most 100.
pub async fn expired(db: &PgPool, days: i32) -> sqlx::Result<Vec<MediaId>> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM media WHERE deleted_at < now() - make_interval(days => $1) ORDER BY deleted_at LIMIT 100",
        days
    );
    ids.fetch_all(db).await?.iter().map(|id| parse_id(id)).collect()
}
