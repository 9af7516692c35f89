//! The database: connecting to it at start-up and bringing its schema up to date.

use std::time::Duration;

use anyhow::Context;
use sqlx::{
    Connection, PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

/// How long start-up waits for a database that does not answer: one that starts beside the service is there by then.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a request waits for a connection before it fails.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Small on purpose: hosted databases allow few connections, and during a deploy two releases share them.
const MAX_CONNECTIONS: u32 = 8;

/// Connects, trying again with a growing pause for up to 30 seconds.
///
/// # Errors
/// When the database has not accepted a connection by then, or refuses the credentials.
pub async fn connect(options: PgConnectOptions) -> anyhow::Result<PgPool> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(100);
    loop {
        // Not by way of the pool, which tries again by itself and says nothing meanwhile.
        let attempt = timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(&options)).await;
        match attempt.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            Ok(_) => break,
            Err(error) if is_final(&error) || Instant::now() + pause > deadline => {
                return Err(error).context("connecting to the database of DATABASE_URL");
            }
            Err(error) => warn!(%error, retry_in_ms = pause.as_millis(), "the database does not answer yet"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(3));
    }
    let pool = PgPoolOptions::new().max_connections(MAX_CONNECTIONS).acquire_timeout(ACQUIRE_TIMEOUT);
    Ok(pool.connect_lazy_with(options))
}

/// Applies the migrations that are missing. Instances that start at the same time wait for one another (sqlx holds an
/// advisory lock meanwhile). Migrations that only a newer release knows are left alone, so that an older release
/// still starts after a rollback.
///
/// # Errors
/// When a migration fails or one that was applied has since been edited.
pub async fn migrate(pool: &PgPool) -> anyhow::Result<()> {
    let mut migrator: Migrator = sqlx::migrate!();
    migrator.set_ignore_missing(true);
    migrator.run(pool).await.context("migrating the database")?;
    info!(head = migrator.iter().map(|migration| migration.version).max(), "the database schema is up to date");
    Ok(())
}

/// Whether waiting cannot help: the server answered and refuses these credentials or has no such database.
fn is_final(error: &sqlx::Error) -> bool {
    // SQLSTATE classes: 28 invalid authorization, 3D invalid catalog name.
    // https://www.postgresql.org/docs/current/errcodes-appendix.html
    let Some(code) = error.as_database_error().and_then(|error| error.code()) else { return false };
    code.starts_with("28") || code.starts_with("3D")
}
