//! The one lifecycle of a media, whichever way its bytes come in: pending → ready | failed.
//!
//! A row and its job appear in one transaction, before the first object is stored, and the rows of both change together. So
//! what a process that died has left is found by its row. Objects whose row is gone are found by their row in `removal`.

use sqlx::{PgExecutor, PgPool};
use time::PrimitiveDateTime;
use uuid::Uuid;

use super::{Kind, MediaId, parse_id};
use crate::{
    db,
    jobs::{self, Job},
};

/// A received file, to insert.
#[derive(Clone, Debug)]
pub struct NewMedia {
    pub id: MediaId,
    pub name: String,
    pub description: String,
    /// Size of the original, in bytes.
    pub size: i64,
    /// SHA-256 of the original.
    pub sha256: Vec<u8>,
    /// Account id.
    pub uploader: Uuid,
    /// The client's own id of this upload: a repeated request with it is answered like the first.
    pub idempotency_key: Option<String>,
}

#[derive(Clone, Debug)]
pub enum Inserted {
    /// The row is new, and its job is claimed.
    New(Job),
    /// The gallery has these bytes already.
    Duplicate(MediaId),
    /// The uploader has sent these bytes under this key before.
    Repeated(MediaId),
    /// The uploader has sent other bytes under this key.
    KeyReused,
}

/// What others can download in the place of an original that tells where it was taken.
#[derive(Clone, Debug)]
pub struct Stripped {
    /// In bytes.
    pub size: i64,
    pub sha256: Vec<u8>,
}

/// What was found out about the content.
#[derive(Clone, Debug)]
pub struct Content {
    pub kind: Kind,
    pub mime_type: String,
    /// In pixels, as displayed.
    pub width: i32,
    /// In pixels, as displayed.
    pub height: i32,
    pub thumbhash: Vec<u8>,
    pub has_clipboard: bool,
    pub captured_at: Option<PrimitiveDateTime>,
    pub camera: Option<String>,
    pub has_location: bool,
    pub duration_ms: Option<i64>,
    pub codec: Option<String>,
    pub has_audio: Option<bool>,
    pub stripped: Option<Stripped>,
}

/// Inserts a pending row with its claimed job. Of several uploads of the same bytes, or with the same key, at the same moment
/// one inserts it, and the others find it.
pub async fn insert_pending(db: &PgPool, new: &NewMedia) -> sqlx::Result<Inserted> {
    // The same in both tries: the second may find what the first has committed.
    let job = Job::claimed(new.id, jobs::Kind::Process);
    db::retried(|| try_to_insert(db, new, job)).await
}

async fn try_to_insert(db: &PgPool, new: &NewMedia, job: Job) -> sqlx::Result<Inserted> {
    let mut transaction = db.begin().await?;
    // Every transaction locks its key before its bytes, so two never wait for each other.
    let key_lock = new.idempotency_key.as_ref().map(|key| format!("{}/{key}", new.uploader));
    for name in key_lock.into_iter().chain([hex::encode(&new.sha256)]) {
        sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", name).execute(&mut *transaction).await?;
    }
    if let Some(key) = &new.idempotency_key {
        let earlier = sqlx::query!(
            "SELECT id, coalesce(received_sha256, sha256) AS sha256 FROM media WHERE uploader = $1 AND idempotency_key = $2",
            new.uploader,
            key
        );
        if let Some(earlier) = earlier.fetch_optional(&mut *transaction).await? {
            if earlier.id == new.id.to_string() {
                return Ok(Inserted::New(job));
            }
            let is_same = earlier.sha256.as_deref() == Some(new.sha256.as_slice());
            return Ok(if is_same { Inserted::Repeated(parse_id(&earlier.id)?) } else { Inserted::KeyReused });
        }
    }
    if let Some(id) = find_same_bytes(&mut *transaction, &new.sha256).await? {
        return Ok(if id == new.id { Inserted::New(job) } else { Inserted::Duplicate(id) });
    }
    sqlx::query!(
        "INSERT INTO media (id, status, name, description, size, sha256, uploader, idempotency_key)
         VALUES ($1, 'pending', $2, $3, $4, $5, $6, $7)",
        new.id.to_string(),
        new.name,
        new.description,
        new.size,
        new.sha256,
        new.uploader,
        new.idempotency_key
    )
    .execute(&mut *transaction)
    .await?;
    jobs::add_claimed(&mut *transaction, &job).await?;
    transaction.commit().await?;
    Ok(Inserted::New(job))
}

/// The media with these bytes, as they were received: an upload of them is a duplicate of it.
pub async fn find_same_bytes(db: impl PgExecutor<'_>, sha256: &[u8]) -> sqlx::Result<Option<MediaId>> {
    let same_bytes = sqlx::query_scalar!(
        "SELECT id FROM media
         WHERE coalesce(received_sha256, sha256) = $1 AND status <> 'failed' AND deleted_at IS NULL LIMIT 1",
        sha256
    );
    same_bytes.fetch_optional(db).await?.as_deref().map(parse_id).transpose()
}

/// The id of the object with the bytes as they were received. It is written before that object is.
pub async fn received_file(db: &PgPool, id: MediaId) -> sqlx::Result<MediaId> {
    let file = sqlx::query_scalar!(
        r#"UPDATE media SET received_file = coalesce(received_file, $2) WHERE id = $1 RETURNING received_file AS "file!""#,
        id.to_string(),
        MediaId::generate().to_string()
    );
    parse_id(&file.fetch_one(db).await?)
}

/// Makes a media ready and ends its job; adds the job of `next`. Returns false if the claim is lost: nothing changes.
pub async fn set_ready(db: &PgPool, job: &Job, content: &Content, next: Option<jobs::Kind>) -> sqlx::Result<bool> {
    let mut transaction = db.begin().await?;
    if !job.finish(&mut *transaction).await? {
        return Ok(false);
    }
    sqlx::query!(
        "UPDATE media
         SET status = 'ready', failure = NULL, kind = $2, mime_type = $3, width = $4, height = $5, thumbhash = $6,
             clipboard = $7, captured_at = $8, camera = $9, has_location = $10, duration_ms = $11, codec = $12, has_audio = $13,
             size = coalesce($14, size), sha256 = coalesce($15, sha256),
             received_sha256 = CASE WHEN $15::bytea IS NULL THEN received_sha256 ELSE coalesce(received_sha256, sha256) END,
             listed_at = CASE status WHEN 'ready' THEN listed_at ELSE now() END, updated_at = now()
         WHERE id = $1",
        job.media.to_string(),
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
        content.has_audio,
        content.stripped.as_ref().map(|stripped| stripped.size),
        content.stripped.as_ref().map(|stripped| stripped.sha256.as_slice())
    )
    .execute(&mut *transaction)
    .await?;
    if let Some(kind) = next {
        jobs::add(&mut *transaction, job.media, kind).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

/// Makes a pending media failed, ends its job, and has its objects removed. Returns their id; `None` if the claim is lost.
pub async fn set_rejected(db: &PgPool, job: &Job, failure: &str) -> sqlx::Result<Option<MediaId>> {
    let mut transaction = db.begin().await?;
    if !job.finish(&mut *transaction).await? {
        return Ok(None);
    }
    let file = sqlx::query_scalar!(
        r#"WITH failed AS (
             UPDATE media SET status = 'failed', failure = $2, listed_at = now(), updated_at = now()
             WHERE id = $1 AND status = 'pending' RETURNING coalesce(file, id) AS file),
           removed AS (INSERT INTO removal (file) SELECT file FROM failed ON CONFLICT DO NOTHING)
           SELECT file AS "file!" FROM failed"#,
        job.media.to_string(),
        failure
    );
    let file = file.fetch_optional(&mut *transaction).await?;
    // Its object is in `removal` from then on, too.
    sqlx::query!("DELETE FROM presigned_upload WHERE media = $1", job.media.to_string())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    file.as_deref().map(parse_id).transpose()
}

/// Gives a job back after a failed attempt. After the last one, a pending media is failed; its original is kept.
pub async fn retry(db: &PgPool, job: &Job, error: &str) -> sqlx::Result<()> {
    let mut transaction = db.begin().await?;
    if job.retry(&mut *transaction, error).await? {
        sqlx::query!(
            "UPDATE media SET status = 'failed', failure = 'processing_failed', listed_at = now(), updated_at = now()
             WHERE id = $1 AND status = 'pending'",
            job.media.to_string()
        )
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await
}

/// Writes the recognised text and ends the job.
pub async fn set_text(db: &PgPool, job: &Job, text: &str) -> sqlx::Result<()> {
    let mut transaction = db.begin().await?;
    if job.finish(&mut *transaction).await? {
        sqlx::query!("UPDATE media SET ocr_text = $2, updated_at = now() WHERE id = $1", job.media.to_string(), text)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await
}

/// Adds a job for a media that a user wants worked on again. Returns false if there is no such media, or if it has nothing to
/// recognise: only ready pictures have.
pub async fn enqueue(db: &PgPool, id: MediaId, kind: jobs::Kind) -> sqlx::Result<bool> {
    let mut transaction = db.begin().await?;
    jobs::lock(&mut *transaction, id).await?;
    let found = sqlx::query_scalar!(
        "UPDATE media SET status = CASE status WHEN 'failed' THEN 'pending' ELSE status END, failure = NULL, updated_at = now()
         WHERE id = $1 AND CASE $2 WHEN 'ocr' THEN kind = 'image' AND status = 'ready'
                           ELSE status = 'ready' OR failure = 'processing_failed' END
         RETURNING id",
        id.to_string(),
        kind.as_str()
    );
    let found = found.fetch_optional(&mut *transaction).await?.is_some();
    if found {
        jobs::add(&mut *transaction, id, kind).await?;
    }
    transaction.commit().await?;
    Ok(found)
}

/// Deletes a row, with its jobs. Its objects are in `removal` from then on. Returns the ids of the objects; `None` if there is
/// no such row.
pub async fn delete(db: &PgPool, id: MediaId) -> sqlx::Result<Option<Vec<MediaId>>> {
    let mut transaction = db.begin().await?;
    jobs::lock(&mut *transaction, id).await?;
    let files = sqlx::query_scalar!(
        r#"WITH deleted AS (DELETE FROM media WHERE id = $1 RETURNING coalesce(file, id) AS file, received_file),
             removed AS (
                 INSERT INTO removal (file)
                 SELECT unnest(array_remove(ARRAY[file, received_file], NULL)) FROM deleted
                 ON CONFLICT (file) DO UPDATE SET due_at = now())
         SELECT array_remove(ARRAY[file, received_file], NULL) AS "files!" FROM deleted"#,
        id.to_string()
    )
    .fetch_optional(&mut *transaction)
    .await?;
    transaction.commit().await?;
    files.map(|files| files.iter().map(|file| parse_id(file)).collect()).transpose()
}

/// Claims up to 100 removals for a minute, more for those that failed before.
pub async fn claim_removals(db: &PgPool) -> sqlx::Result<Vec<MediaId>> {
    let files = sqlx::query_scalar!(
        "UPDATE removal SET attempts = attempts + 1, due_at = now() + make_interval(mins => least(attempts + 1, 60))
         WHERE file IN (SELECT file FROM removal WHERE due_at <= now() ORDER BY due_at FOR UPDATE SKIP LOCKED LIMIT 100)
         RETURNING file"
    );
    files.fetch_all(db).await?.iter().map(|file| parse_id(file)).collect()
}

/// The store's name of an upload in parts that a removal has beside the objects.
pub async fn removed_parts(db: &PgPool, file: MediaId) -> sqlx::Result<Option<String>> {
    let multipart = sqlx::query_scalar!("SELECT multipart FROM removal WHERE file = $1", file.to_string());
    Ok(multipart.fetch_optional(db).await?.flatten())
}

/// Ends a removal, once the objects are deleted. One that a client can still write to is due again when that is over.
pub async fn finish_removal(db: &PgPool, file: MediaId) -> sqlx::Result<()> {
    sqlx::query!(
        "WITH again AS (
             UPDATE removal SET due_at = writable_until WHERE file = $1 AND writable_until > now() RETURNING file)
         DELETE FROM removal WHERE file = $1 AND NOT EXISTS (SELECT FROM again)",
        file.to_string()
    )
    .execute(db)
    .await?;
    Ok(())
}
