//! Which processes of the service live, in the table `instance`: each says so from time to time.

use std::time::Duration;

use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::task::JoinHandle;
use tracing::warn;
use uuid::Uuid;

/// How often a process says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// A process that has said nothing for so long is taken for dead: it may miss two heartbeats.
const DEAD_AFTER: Duration = Duration::from_secs(70);

/// A process that has said that it lives.
#[derive(Clone, Debug)]
pub struct Instance {
    /// `serve` or `worker`.
    pub command: String,
    pub version: String,
    pub started_at: OffsetDateTime,
    pub seen_at: OffsetDateTime,
}

/// This process in the table, until [`Presence::end`].
pub struct Presence {
    db: PgPool,
    id: Uuid,
    beating: JoinHandle<()>,
}

impl Presence {
    /// Says that this process lives, from now on. While the database is away nothing is said.
    pub fn start(db: PgPool, command: &'static str, version: String) -> Self {
        let id = Uuid::from_u128(ulid::Ulid::new().0);
        let pool = db.clone();
        let beating = tokio::spawn(async move {
            loop {
                if let Err(error) = say(&pool, id, command, &version).await {
                    warn!(%error, "cannot tell that this process lives");
                }
                tokio::time::sleep(HEARTBEAT).await;
            }
        });
        Self { db, id, beating }
    }

    /// Takes this process out of the table.
    pub async fn end(self) {
        self.beating.abort();
        // A heartbeat on its way would put it back.
        drop(self.beating.await);
        let deleted = sqlx::query!("DELETE FROM instance WHERE id = $1", self.id).execute(&self.db).await;
        if let Err(error) = deleted {
            warn!(%error, "cannot tell that this process ends");
        }
    }
}

/// The processes that live, the oldest first.
pub async fn list(db: &PgPool) -> sqlx::Result<Vec<Instance>> {
    sqlx::query_as!(
        Instance,
        "SELECT command, version, started_at, seen_at FROM instance
         WHERE seen_at > now() - make_interval(secs => $1) ORDER BY started_at, id",
        DEAD_AFTER.as_secs_f64()
    )
    .fetch_all(db)
    .await
}

/// Also removes those that have died without a word.
async fn say(db: &PgPool, id: Uuid, command: &str, version: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "WITH dead AS (DELETE FROM instance WHERE seen_at < now() - make_interval(secs => $4) AND id <> $1)
         INSERT INTO instance (id, command, version) VALUES ($1, $2, $3)
         ON CONFLICT (id) DO UPDATE SET seen_at = now()",
        id,
        command,
        version,
        DEAD_AFTER.as_secs_f64()
    )
    .execute(db)
    .await?;
    Ok(())
}
