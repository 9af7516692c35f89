//! The queue of work on media, in the table `job`. Any number of processes share it.
//!
//! A claim is a lease: `due_at` is its end, and the process that works renews it. A process that dies renews nothing, so its
//! job is due again by itself.

use std::time::Duration;

use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use crate::media::{self, MediaId};

/// How long a claim holds without a renewal.
pub const LEASE: Duration = Duration::from_secs(60);

/// How often a claim is renewed: twice may fail.
pub const HEARTBEAT: Duration = Duration::from_secs(20);

/// After so many failed attempts a job is quarantined.
pub const MAX_ATTEMPTS: i32 = 4;

/// The pause while the storage is away.
const AWAY_PAUSE: Duration = Duration::from_secs(20);

/// The pause after the first failed attempt; it grows fourfold with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "JobKind")]
pub enum Kind {
    /// Validates the original and derives what is served beside it.
    Process,
    /// Recognises the text of a picture.
    Ocr,
}

/// A claimed job.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    pub media: MediaId,
    pub kind: Kind,
    /// This one included.
    pub attempt: i32,
    claim: Uuid,
}

/// How many jobs of a kind are in a state.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Count {
    pub kind: String,
    /// `due`, `working`, `postponed` or `quarantined`.
    pub state: String,
    pub jobs: i64,
    /// How long the oldest one has been due.
    pub oldest_seconds: f64,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Process, Self::Ocr];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Ocr => "ocr",
        }
    }
}

/// Adds a job that any worker may claim. One that is there is made due and begins anew.
pub async fn add(db: impl PgExecutor<'_>, media: MediaId, kind: Kind) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO job (media, kind) VALUES ($1, $2)
         ON CONFLICT (media, kind) DO UPDATE
         SET attempts = 0, due_at = now(), claim = NULL, quarantined = false, last_error = NULL",
        media.to_string(),
        kind.as_str()
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Adds a job that is claimed already: the process that adds it does it at once.
pub async fn add_claimed(db: impl PgExecutor<'_>, job: &Job) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO job (media, kind, attempts, due_at, claim)
         VALUES ($1, $2, 1, now() + make_interval(secs => $3), $4)",
        job.media.to_string(),
        job.kind.as_str(),
        LEASE.as_secs_f64(),
        job.claim
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Locks the jobs of a media. A transaction that changes them and the media begins with this, as a worker ends its job before it
/// writes the result: otherwise each could wait for the other.
pub async fn lock(db: impl PgExecutor<'_>, media: MediaId) -> sqlx::Result<()> {
    sqlx::query!("SELECT kind FROM job WHERE media = $1 ORDER BY kind FOR UPDATE", media.to_string())
        .fetch_all(db)
        .await
        .map(drop)
}

/// Counts the jobs of all instances. Those that are due, of which there may be a million, are counted in the index `job_due`.
pub async fn count(db: &PgPool) -> sqlx::Result<Vec<Count>> {
    let kinds = Kind::ALL.map(|kind| kind.as_str().to_owned());
    sqlx::query_as!(
        Count,
        r#"SELECT kind AS "kind!", 'due' AS "state!", count(*) AS "jobs!",
               extract(epoch FROM now() - min(due_at))::float8 AS "oldest_seconds!"
           FROM job WHERE kind = ANY ($1) AND NOT quarantined AND due_at <= now() GROUP BY 1
           UNION ALL
           SELECT kind, CASE WHEN claim IS NOT NULL THEN 'working' ELSE 'postponed' END, count(*),
               extract(epoch FROM now() - min(due_at))::float8
           FROM job WHERE kind = ANY ($1) AND NOT quarantined AND due_at > now() GROUP BY 1, 2
           UNION ALL
           SELECT kind, 'quarantined', count(*), extract(epoch FROM now() - min(due_at))::float8
           FROM job WHERE quarantined GROUP BY 1"#,
        &kinds
    )
    .fetch_all(db)
    .await
}

/// Claims the job of this kind that has waited longest; `None` if none is due.
pub async fn claim(db: &PgPool, kind: Kind) -> sqlx::Result<Option<Job>> {
    let claim = Uuid::from_u128(ulid::Ulid::new().0);
    let row = sqlx::query!(
        "UPDATE job SET claim = $2, attempts = attempts + 1, due_at = now() + make_interval(secs => $3)
         WHERE (media, kind) = (
             SELECT media, kind FROM job
             WHERE kind = $1 AND NOT quarantined AND due_at <= now()
             ORDER BY due_at FOR UPDATE SKIP LOCKED LIMIT 1)
         RETURNING media, attempts",
        kind.as_str(),
        claim,
        LEASE.as_secs_f64()
    )
    .fetch_optional(db)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Job { media: media::parse_id(&row.media)?, kind, attempt: row.attempts, claim }))
}

/// How long it is until the next job of this kind is due, or a claim ends; `None` if there is no job.
pub async fn next_due(db: &PgPool, kind: Kind) -> sqlx::Result<Option<Duration>> {
    let seconds = sqlx::query_scalar!(
        r#"SELECT EXTRACT(epoch FROM min(due_at) - now())::float8 FROM job WHERE kind = $1 AND NOT quarantined"#,
        kind.as_str()
    );
    let seconds = seconds.fetch_one(db).await?;
    Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()))
}

impl Job {
    /// A job that this process adds and does at once.
    pub fn claimed(media: MediaId, kind: Kind) -> Self {
        Self { media, kind, attempt: 1, claim: Uuid::from_u128(ulid::Ulid::new().0) }
    }

    /// Renews the claim. Returns false if it is lost: another process has the job, or it is gone.
    pub async fn renew(&self, db: &PgPool) -> sqlx::Result<bool> {
        let renewed = sqlx::query!(
            "UPDATE job SET due_at = now() + make_interval(secs => $4) WHERE media = $1 AND kind = $2 AND claim = $3",
            self.media.to_string(),
            self.kind.as_str(),
            self.claim,
            LEASE.as_secs_f64()
        );
        Ok(renewed.execute(db).await?.rows_affected() == 1)
    }

    /// Keeps the job from being claimed by another process until the end of the transaction. Returns false if the claim is lost.
    pub async fn lock(&self, db: impl PgExecutor<'_>) -> sqlx::Result<bool> {
        let locked = sqlx::query_scalar!(
            "SELECT kind FROM job WHERE media = $1 AND kind = $2 AND claim = $3 FOR UPDATE",
            self.media.to_string(),
            self.kind.as_str(),
            self.claim
        );
        Ok(locked.fetch_optional(db).await?.is_some())
    }

    /// Ends the job, in the transaction that writes its result. Returns false if the claim is lost.
    pub async fn finish(&self, db: impl PgExecutor<'_>) -> sqlx::Result<bool> {
        let finished = sqlx::query!(
            "DELETE FROM job WHERE media = $1 AND kind = $2 AND claim = $3",
            self.media.to_string(),
            self.kind.as_str(),
            self.claim
        );
        Ok(finished.execute(db).await?.rows_affected() == 1)
    }

    /// Gives the job back after a failed attempt, to be due after a pause. Returns whether it is quarantined instead.
    pub async fn retry(&self, db: impl PgExecutor<'_>, error: &str) -> sqlx::Result<bool> {
        let quarantined = self.attempt >= MAX_ATTEMPTS;
        let pause = FIRST_PAUSE.as_secs_f64() * 4_f64.powi(self.attempt - 1);
        sqlx::query!(
            "UPDATE job SET claim = NULL, last_error = $4, quarantined = $5,
                 due_at = now() + make_interval(secs => $6 * (0.75 + random() / 2))
             WHERE media = $1 AND kind = $2 AND claim = $3",
            self.media.to_string(),
            self.kind.as_str(),
            self.claim,
            error,
            quarantined,
            pause
        )
        .execute(db)
        .await?;
        Ok(quarantined)
    }

    /// Gives the job back unfinished and uncounted, to be due after a pause: the storage is away.
    pub async fn postpone(&self, db: &PgPool, error: &str) -> sqlx::Result<()> {
        sqlx::query!(
            "UPDATE job SET claim = NULL, attempts = attempts - 1, last_error = $4,
                 due_at = now() + make_interval(secs => $5 * (0.75 + random() / 2))
             WHERE media = $1 AND kind = $2 AND claim = $3",
            self.media.to_string(),
            self.kind.as_str(),
            self.claim,
            error,
            AWAY_PAUSE.as_secs_f64()
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Gives the job back unfinished and uncounted: this process stops.
    pub async fn give_back(&self, db: &PgPool) -> sqlx::Result<()> {
        sqlx::query!(
            "UPDATE job SET claim = NULL, attempts = attempts - 1, due_at = now()
             WHERE media = $1 AND kind = $2 AND claim = $3",
            self.media.to_string(),
            self.kind.as_str(),
            self.claim
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
