//! Gives a media another file.
//!
//! The new objects get ids of their own, which are in `removal` until the row names them. So the old ones are served until the new ones
//! are complete, and what a process that dies leaves is removed. The ids of the old ones come into `removal` in the transaction in
//! which the row names the new ones.

use std::time::Duration;

use anyhow::ensure;
use sqlx::PgPool;

use super::{Media, MediaId, Status, lifecycle::Content, parse_id};
use crate::jobs;

/// How long a replacement may take. A request that waits for it ends after 5 minutes.
const RESERVED: Duration = Duration::from_secs(60 * 60);

/// The ids of the objects of a new file.
#[derive(Clone, Copy, Debug)]
pub struct NewFile {
    pub file: MediaId,
    /// Of the object with the bytes as they were received, if they are kept apart.
    pub received_file: MediaId,
}

/// A file as it was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// In bytes.
    pub size: i64,
    pub sha256: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// With the ids of the objects that it had.
    Done(Vec<MediaId>),
    /// It has these bytes already: nothing changed.
    Same,
    /// Another media has these bytes.
    Duplicate(MediaId),
    /// Its first file is not processed yet.
    Pending,
    /// Another request changed it first: it has another version.
    OtherVersion,
    NotFound,
}

/// Why a media that was found cannot get another file now; `None` if it can.
pub fn refusal(media: &Media, version: Option<i32>) -> Option<Replaced> {
    if version.is_some_and(|version| version != media.version) {
        return Some(Replaced::OtherVersion);
    }
    (media.status == Status::Pending).then_some(Replaced::Pending)
}

/// Makes ids for the objects of a new file. They are removed after an hour unless [`replace`] is done by then.
pub async fn reserve(db: &PgPool) -> sqlx::Result<NewFile> {
    let new = NewFile { file: MediaId::generate(), received_file: MediaId::generate() };
    sqlx::query!(
        "INSERT INTO removal (file, due_at) SELECT file, now() + make_interval(secs => $2) FROM unnest($1::text[]) AS file",
        &[new.file.to_string(), new.received_file.to_string()],
        RESERVED.as_secs_f64()
    )
    .execute(db)
    .await?;
    Ok(new)
}

/// Gives up the ids of a new file. Returns those whose objects are to be removed: none if a row names them after all, because the
/// answer to [`replace`] was lost. It waits for a transaction that is not decided yet.
pub async fn abandon(db: &PgPool, new: &NewFile) -> sqlx::Result<Vec<MediaId>> {
    let abandoned = sqlx::query_scalar!(
        "UPDATE removal SET attempts = 1, due_at = now() + interval '1 minute' WHERE file = ANY ($1) AND attempts = 0
         RETURNING file",
        &[new.file.to_string(), new.received_file.to_string()]
    );
    abandoned.fetch_all(db).await?.iter().map(|file| parse_id(file)).collect()
}

/// A media that has these bytes, as [`lifecycle::insert_pending`](super::lifecycle::insert_pending) finds it; `id` itself last.
pub async fn find_same(db: impl sqlx::PgExecutor<'_>, id: MediaId, sha256: &[u8]) -> sqlx::Result<Option<Replaced>> {
    let found = sqlx::query_scalar!(
        "SELECT id FROM media
         WHERE coalesce(received_sha256, sha256) = $1 AND status <> 'failed' AND deleted_at IS NULL
         ORDER BY id = $2 LIMIT 1",
        sha256,
        id.to_string()
    );
    let found = found.fetch_optional(db).await?.as_deref().map(parse_id).transpose()?;
    Ok(found.map(|found| if found == id { Replaced::Same } else { Replaced::Duplicate(found) }))
}

/// Has the row name the new objects, which are complete; text is recognised again if `recognise`. Jobs on the old file end.
///
/// # Errors
/// Also if the hour of [`reserve`] is over.
pub async fn replace(
    db: &PgPool,
    id: MediaId,
    version: Option<i32>,
    new: &NewFile,
    received: &Received,
    content: &Content,
    recognise: bool,
) -> anyhow::Result<Replaced> {
    let mut transaction = db.begin().await?;
    // An upload of the same bytes takes the same lock.
    let lock = hex::encode(&received.sha256);
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", lock).execute(&mut *transaction).await?;
    if let Some(same) = find_same(&mut *transaction, id, &received.sha256).await? {
        return Ok(same);
    }
    let reserved = sqlx::query!(
        "DELETE FROM removal WHERE file = ANY ($1) AND attempts = 0",
        &[new.file.to_string(), new.received_file.to_string()]
    );
    let reserved = reserved.execute(&mut *transaction).await?.rows_affected();
    ensure!(reserved == 2, "replacing the file took so long that its objects are being removed");
    // Before the row, as a worker that ends a job.
    sqlx::query!("DELETE FROM job WHERE media = $1", id.to_string()).execute(&mut *transaction).await?;
    let stripped = content.stripped.as_ref();
    let old = sqlx::query_scalar!(
        r#"WITH old AS (
             SELECT coalesce(file, id) AS file, received_file FROM media
             WHERE id = $1 AND ($2::integer IS NULL OR version = $2) AND status <> 'pending' FOR UPDATE),
           new AS (
             UPDATE media
             SET file = $3, received_file = $4, size = $5, sha256 = $6, received_sha256 = $7, kind = $8, mime_type = $9,
                 width = $10, height = $11, thumbhash = $12, clipboard = $13, captured_at = $14, camera = $15,
                 has_location = $16, duration_ms = $17, codec = $18, has_audio = $19, ocr_text = NULL,
                 status = 'ready', failure = NULL, declared_type = NULL, version = version + 1, updated_at = now(),
                 listed_at = CASE status WHEN 'ready' THEN listed_at ELSE now() END
             FROM old WHERE media.id = $1),
           removed AS (
             INSERT INTO removal (file) SELECT unnest(array_remove(ARRAY[file, received_file], NULL)) FROM old
             ON CONFLICT (file) DO UPDATE SET due_at = now())
           SELECT array_remove(ARRAY[file, received_file], NULL) AS "files!" FROM old"#,
        id.to_string(),
        version,
        new.file.to_string(),
        stripped.map(|_| new.received_file.to_string()),
        stripped.map_or(received.size, |stripped| stripped.size),
        stripped.map_or(&received.sha256, |stripped| &stripped.sha256),
        stripped.map(|_| received.sha256.as_slice()),
        content.kind.as_str(),
        content.mime_type,
        content.width,
        content.height,
        content.thumbhash,
        content.has_clipboard,
        content.captured_at,
        content.camera,
        content.has_location,
        content.duration_ms,
        content.codec,
        content.has_audio
    );
    let Some(old) = old.fetch_optional(&mut *transaction).await? else {
        transaction.rollback().await?;
        let media = super::find(db, id).await?;
        // If it fits again by now, it has changed twice.
        return Ok(media.map_or(Replaced::NotFound, |media| refusal(&media, version).unwrap_or(Replaced::OtherVersion)));
    };
    // A file that failed may still have its URL.
    sqlx::query!("DELETE FROM presigned_upload WHERE media = $1", id.to_string()).execute(&mut *transaction).await?;
    if recognise {
        jobs::add(&mut *transaction, id, jobs::Kind::Ocr).await?;
    }
    transaction.commit().await?;
    Ok(Replaced::Done(old.iter().map(|file| parse_id(file)).collect::<sqlx::Result<_>>()?))
}
