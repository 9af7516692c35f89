//! The database: connects at startup and runs the migrations.

use std::time::Duration;

use anyhow::Context;
use sqlx::{
    Connection, PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

/// How long startup retries to connect: the database may start at the same time as the service.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a request waits for a connection from the pool before it fails.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Hosted databases allow few connections, and during a deploy two releases share them.
const MAX_CONNECTIONS: u32 = 8;

/// Lists have filters that are mostly unset: a plan of its own for each question uses the indexes of those that are set, and
/// costs a fraction of a millisecond. A word with two letters in the wrong order still has a similarity of 0.3.
const SESSION: &str = "SET plan_cache_mode = force_custom_plan; SET pg_trgm.word_similarity_threshold = 0.3";

/// Connects to the database. Retries with exponential backoff for up to 30 seconds, but fails at once if the server
/// rejects the credentials or the database name.
pub async fn connect(options: PgConnectOptions) -> anyhow::Result<PgPool> {
    let deadline = Instant::now() + STARTUP_TIMEOUT;
    let mut pause = Duration::from_millis(100);
    loop {
        // Without the pool, which would retry silently.
        let attempt = timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(&options)).await;
        match attempt.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            Ok(_) => break,
            Err(error) if is_permanent(&error) || Instant::now() + pause > deadline => {
                return Err(error).context("cannot connect to the database at DATABASE_URL");
            }
            Err(error) => warn!(%error, retry_in_ms = pause.as_millis(), "database not reachable yet, retrying"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(3));
    }
    let pool = PgPoolOptions::new().max_connections(MAX_CONNECTIONS).acquire_timeout(ACQUIRE_TIMEOUT);
    let pool = pool.after_connect(|connection, _| {
        Box::pin(async move { sqlx::raw_sql(SESSION).execute(connection).await.map(drop) })
    });
    Ok(pool.connect_lazy_with(options))
}

/// Applies pending migrations, under sqlx's advisory lock, so that instances that start together take turns. Ignores
/// applied migrations that this release does not have, so that an older release starts after a rollback. Fails if a
/// migration fails or if an applied one was edited.
pub async fn migrate(pool: &PgPool) -> anyhow::Result<()> {
    let mut migrator: Migrator = sqlx::migrate!();
    migrator.set_ignore_missing(true);
    migrator.run(pool).await.context("cannot migrate the database")?;
    info!(head = migrator.iter().map(|migration| migration.version).max(), "database schema is up to date");
    Ok(())
}

/// Whether a retry cannot help: the server rejects the credentials or has no such database.
fn is_permanent(error: &sqlx::Error) -> bool {
    // SQLSTATE classes: 28 invalid authorization, 3D invalid catalog name.
    // https://www.postgresql.org/docs/current/errcodes-appendix.html
    let Some(code) = error.as_database_error().and_then(|error| error.code()) else { return false };
    code.starts_with("28") || code.starts_with("3D")
}
