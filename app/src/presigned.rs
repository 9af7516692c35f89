//! Uploads that pass the service by: the client puts the file into the store itself, at a URL that the service has signed.
//!
//! The media is `pending` from the first, with a row in `presigned_upload` that says what was signed. Its object has the media's
//! own id as its key, and is never served. A worker validates it and stores those very bytes under an id that no client has a URL
//! of (`worker/receive.rs`); the row is deleted then. So what the client puts later, at a URL that is still valid, is nothing but
//! an object to be removed, which a trigger on that row sees to.

mod create;
pub mod parts;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

pub use self::create::{Creation, NewUpload};
use crate::{
    db,
    jobs::Job,
    media::{MediaId, Status, lifecycle, parse_id},
};

/// The types that a client may declare.
pub const CONTENT_TYPES: [&str; 5] = ["image/jpeg", "image/png", "image/webp", "image/avif", "image/gif"];

/// The types that a client may declare of a file that it sends in parts.
pub const PART_TYPES: [&str; 9] = [
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/avif",
    "image/gif",
    "video/mp4",
    "video/quicktime",
    "video/webm",
    "video/x-matroska",
];

/// How long an upload may still arrive after its URL has expired: a request that began in time may be slow.
pub const GRACE: Duration = Duration::from_secs(10 * 60);

/// How many uploads are looked for at a time.
pub const PAGE: i64 = 1000;

/// How long a worker may take from [`reserve`] to [`accept`].
const RESERVED: Duration = Duration::from_secs(60 * 60);

/// An upload whose file is not accepted yet.
#[derive(Clone, Debug)]
pub struct Upload {
    pub id: MediaId,
    /// Account id.
    pub uploader: Uuid,
    /// What the client has declared.
    pub content_type: String,
    /// In bytes, if the URL takes only files of this size.
    pub length: Option<u64>,
    /// The store's name of the upload, if it is in parts that the store has not put together yet.
    pub multipart: Option<String>,
    /// Of the URL.
    pub expires_at: OffsetDateTime,
}

/// What has become of an upload.
#[derive(Clone, Debug)]
pub struct UploadStatus {
    pub id: MediaId,
    pub status: Status,
    /// Why it failed: a stable code.
    pub failure: Option<String>,
    /// The media that had these bytes already, if that is why it failed.
    pub duplicate_of: Option<MediaId>,
    /// In bytes, once the file was received.
    pub size: Option<i64>,
}

/// What became of a validated file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// The media has it; what is served beside it is to be derived.
    New,
    /// The gallery has these bytes already. The media is failed, and in the trash.
    Duplicate,
    /// The claim of the job is lost, or the media is no longer pending. Nothing was changed.
    Lost,
}

/// Finds an upload whose file is not accepted yet.
pub async fn find(db: &PgPool, id: MediaId) -> sqlx::Result<Option<Upload>> {
    let row = sqlx::query!(
        r#"SELECT uploader, declared_type AS "content_type!", length, multipart, expires_at
           FROM presigned_upload JOIN media ON media.id = presigned_upload.media
           WHERE media.id = $1 AND status = 'pending'"#,
        id.to_string()
    );
    let Some(row) = row.fetch_optional(db).await? else { return Ok(None) };
    Ok(Some(Upload {
        id,
        uploader: row.uploader,
        content_type: row.content_type,
        length: row.length.and_then(|length| length.try_into().ok()),
        multipart: row.multipart,
        expires_at: row.expires_at,
    }))
}

/// What has become of an upload of this account.
pub async fn status(db: &PgPool, id: MediaId, account: Uuid) -> sqlx::Result<Option<UploadStatus>> {
    let row = sqlx::query!(
        r#"SELECT status, failure, size,
                  (SELECT other.id FROM media AS other
                   WHERE media.failure = 'duplicate' AND coalesce(other.received_sha256, other.sha256) = media.sha256
                     AND other.status <> 'failed' AND other.deleted_at IS NULL LIMIT 1) AS duplicate_of
           FROM media WHERE id = $1 AND uploader = $2"#,
        id.to_string(),
        account
    );
    let Some(row) = row.fetch_optional(db).await? else { return Ok(None) };
    Ok(Some(UploadStatus {
        id,
        status: row.status.parse().map_err(|()| sqlx::Error::Decode("unknown media status".into()))?,
        failure: row.failure,
        duplicate_of: row.duplicate_of.as_deref().map(parse_id).transpose()?,
        size: row.size,
    }))
}

/// Has a worker look into an upload whose file has arrived. May be called again, late and in any order: what is not waiting for a
/// file, or has its job already, is left as it is. Returns whether an upload with this id is pending.
///
/// Whether the file is in the store, and which one, the worker finds out. So the caller needs no proof.
pub async fn arrived(db: &PgPool, id: MediaId) -> sqlx::Result<bool> {
    let is_pending = db::retried(|| async {
        sqlx::query_scalar!(
            r#"WITH waiting AS (
                 SELECT media.id FROM presigned_upload JOIN media ON media.id = presigned_upload.media
                 WHERE media.id = $1 AND status = 'pending'),
               added AS (
                 INSERT INTO job (media, kind) SELECT id, 'process' FROM waiting ON CONFLICT DO NOTHING)
               SELECT EXISTS (SELECT FROM waiting) AS "is_pending!""#,
            id.to_string()
        )
        .fetch_one(db)
        .await
    });
    is_pending.await
}

/// Makes an id for the object with the validated bytes. It is removed after an hour unless [`accept`] is done by then.
pub async fn reserve(db: &PgPool) -> sqlx::Result<MediaId> {
    let file = MediaId::generate();
    sqlx::query!(
        "INSERT INTO removal (file, due_at) VALUES ($1, now() + make_interval(secs => $2))",
        file.to_string(),
        RESERVED.as_secs_f64()
    )
    .execute(db)
    .await?;
    Ok(file)
}

/// Has the media name the object with the validated bytes, and forgets the URL.
///
/// `file` is `None` if nothing was stored, because the gallery had these bytes.
///
/// # Errors
/// Also if the hour of [`reserve`] is over, or if the gallery does not have the bytes any more.
pub async fn accept(
    db: &PgPool,
    job: &Job,
    file: Option<MediaId>,
    size: i64,
    sha256: &[u8],
) -> anyhow::Result<Accepted> {
    let mut transaction = db.begin().await?;
    // A direct upload of the same bytes takes the same lock.
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", hex::encode(sha256))
        .execute(&mut *transaction)
        .await?;
    if !job.lock(&mut *transaction).await? {
        return Ok(Accepted::Lost);
    }
    if lifecycle::find_same_bytes(&mut *transaction, sha256).await?.is_some() {
        job.finish(&mut *transaction).await?;
        let failed = sqlx::query!(
            "UPDATE media SET status = 'failed', failure = 'duplicate', size = $2, sha256 = $3, deleted_at = now(), listed_at = now(),
                 updated_at = now()
             WHERE id = $1 AND status = 'pending'",
            job.media.to_string(),
            size,
            sha256
        );
        failed.execute(&mut *transaction).await?;
        forget(&mut transaction, job.media).await?;
        transaction.commit().await?;
        return Ok(Accepted::Duplicate);
    }
    let file = file.context("the media with the same bytes was deleted meanwhile")?;
    let reserved = sqlx::query!("DELETE FROM removal WHERE file = $1 AND attempts = 0", file.to_string());
    let reserved = reserved.execute(&mut *transaction).await?.rows_affected();
    ensure!(reserved == 1, "storing the file took so long that it is being removed");
    let named = sqlx::query!(
        "UPDATE media SET file = $2, size = $3, sha256 = $4, listed_at = now(), updated_at = now()
         WHERE id = $1 AND status = 'pending'",
        job.media.to_string(),
        file.to_string(),
        size,
        sha256
    );
    if named.execute(&mut *transaction).await?.rows_affected() == 0 {
        return Ok(Accepted::Lost);
    }
    forget(&mut transaction, job.media).await?;
    transaction.commit().await?;
    Ok(Accepted::New)
}

/// Takes up to [`PAGE`] uploads that no client and no event has told of, and puts off the next look at them. So instances that
/// look at the same time look at different ones.
pub async fn claim_due(db: &PgPool, look_after: Duration) -> sqlx::Result<Vec<Upload>> {
    let rows = sqlx::query!(
        r#"UPDATE presigned_upload SET look_at = now() + make_interval(secs => $1)
           FROM media
           WHERE media.id = presigned_upload.media AND presigned_upload.media IN (
               SELECT waiting.media FROM presigned_upload AS waiting JOIN media ON media.id = waiting.media
               WHERE look_at <= now() AND status = 'pending' ORDER BY look_at LIMIT $2 FOR UPDATE OF waiting SKIP LOCKED)
           RETURNING presigned_upload.media AS "id!", uploader, declared_type AS "content_type!", length, multipart, expires_at"#,
        look_after.as_secs_f64(),
        PAGE
    );
    let uploads = rows.fetch_all(db).await?.into_iter().map(|row| {
        Ok(Upload {
            id: parse_id(&row.id)?,
            uploader: row.uploader,
            content_type: row.content_type,
            length: row.length.and_then(|length| length.try_into().ok()),
            multipart: row.multipart,
            expires_at: row.expires_at,
        })
    });
    uploads.collect()
}

async fn forget(transaction: &mut sqlx::PgTransaction<'_>, id: MediaId) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM presigned_upload WHERE media = $1", id.to_string())
        .execute(&mut **transaction)
        .await
        .map(drop)
}
