//! Media that failed, and work on media that was given up: what an admin looks into and has tried again.

use sqlx::PgPool;
use time::OffsetDateTime;

use super::{MediaId, parse_id};

/// A media that failed, or a job on it that was given up.
#[derive(Clone, Debug)]
pub struct Failure {
    pub media: MediaId,
    pub name: String,
    /// User name.
    pub uploader: String,
    /// Why the media failed: a stable code. `None` if the media is ready and only the job failed.
    pub code: Option<String>,
    /// The kind of the job that was given up. `None` if the content is at fault: there is nothing to try again.
    pub job: Option<String>,
    /// Of the job.
    pub attempts: Option<i32>,
    /// Of the job's last attempt, for people.
    pub error: Option<String>,
    /// When the media changed last.
    pub updated_at: OffsetDateTime,
}

/// The newest failures, and how many there are.
#[derive(Clone, Debug, Default)]
pub struct Failures {
    pub newest: Vec<Failure>,
    pub total: i64,
    /// Of `total`, those that can be tried again.
    pub retryable: i64,
}

/// Lists up to `limit` failures, without those of media in the trash.
pub async fn list(db: &PgPool, limit: i64) -> sqlx::Result<Failures> {
    let rows = sqlx::query!(
        r#"WITH failed AS (
               SELECT id FROM media WHERE status = 'failed'
               UNION SELECT media FROM job WHERE quarantined)
           SELECT media.id, name, username, failure, job.kind AS "job?", job.attempts AS "attempts?", job.last_error,
               media.updated_at, count(*) OVER () AS "total!", count(job.kind) OVER () AS "retryable!"
           FROM failed JOIN media ON media.id = failed.id JOIN account ON account.id = media.uploader
               LEFT JOIN job ON job.media = media.id AND job.quarantined
           WHERE deleted_at IS NULL
           ORDER BY media.updated_at DESC, media.id DESC, job.kind
           LIMIT $1"#,
        limit
    );
    let mut failures = Failures::default();
    for row in rows.fetch_all(db).await? {
        (failures.total, failures.retryable) = (row.total, row.retryable);
        failures.newest.push(Failure {
            media: parse_id(&row.id)?,
            name: row.name,
            uploader: row.username,
            code: row.failure,
            job: row.job,
            attempts: row.attempts,
            error: row.last_error,
            updated_at: row.updated_at,
        });
    }
    Ok(failures)
}

/// Has all jobs that were given up tried again, but for those on media in the trash. Returns how many.
pub async fn retry_all(db: &PgPool) -> sqlx::Result<i64> {
    let mut transaction = db.begin().await?;
    // Jobs before their media, and in their order, as by all others: so no two wait for each other.
    let media = sqlx::query_scalar!(
        "SELECT job.media FROM job JOIN media ON media.id = job.media
         WHERE quarantined AND deleted_at IS NULL ORDER BY job.media, job.kind FOR UPDATE OF job"
    );
    let media = media.fetch_all(&mut *transaction).await?;
    let retried = sqlx::query!(
        "UPDATE job SET attempts = 0, due_at = now(), claim = NULL, quarantined = false, last_error = NULL
         WHERE quarantined AND media = ANY ($1)",
        &media
    );
    let retried = retried.execute(&mut *transaction).await?.rows_affected();
    sqlx::query!(
        "UPDATE media SET status = 'pending', failure = NULL, updated_at = now()
         WHERE id = ANY ($1) AND status = 'failed'",
        &media
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(i64::try_from(retried).unwrap_or(i64::MAX))
}
