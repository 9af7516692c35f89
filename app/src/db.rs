//! The database: connects at startup and runs the migrations; what becomes of queries when it is away.

pub mod batches;
mod extensions;
mod pooler;
mod unreachable;

use std::{future::Future, time::Duration};

use anyhow::Context;
use sqlx::{
    Connection, PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

/// How long startup retries to connect: the database may start at the same time as the service.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an attempt to connect at startup may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a query waits for a connection before it fails: clients that come back spread the load, and those that wait add to it.
pub const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(1500);

/// How often a connection is tried again that cannot be opened at startup, once there is one.
const FILL_RETRIES: u32 = 2;

/// Hosted databases allow few connections, and during a deploy two releases share them. Each process has one more: [`listener`].
const MAX_CONNECTIONS: u32 = 8;

/// Lists have filters that are mostly unset: a plan of its own for each question uses the indexes of those that are set, and
/// costs a fraction of a millisecond. A word with two letters in the wrong order still has a similarity of 0.3.
const SESSION: &str = "SET plan_cache_mode = force_custom_plan; SET pg_trgm.word_similarity_threshold = 0.3";

/// How many connections a pool keeps open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All of them, from the start on: a server that is at its limit later refuses new connections, and these stay.
    All,
    /// None: for a command that ends soon.
    None,
}

/// Connects to the database. Retries with exponential backoff for up to 30 seconds, but fails at once if the server
/// rejects the credentials or the database name.
pub async fn connect(options: PgConnectOptions, keep: Keep) -> anyhow::Result<PgPool> {
    let deadline = Instant::now() + STARTUP_TIMEOUT;
    let mut pause = Duration::from_millis(100);
    loop {
        // Without the pool, which would retry silently.
        let attempt = timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&options)).await;
        match attempt.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            Ok(connection) => {
                pooler::check(connection, &options).await?;
                break;
            }
            Err(error) if is_permanent(&error) || Instant::now() + pause > deadline => {
                let hint = unreachable::hint(&options, &error).map(|hint| format!("; {hint}")).unwrap_or_default();
                return Err(error).context(format!("cannot connect to the database at DATABASE_URL{hint}"));
            }
            Err(error) => warn!(%error, retry_in_ms = pause.as_millis(), "database not reachable yet, retrying"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(3));
    }
    let pool = PgPoolOptions::new().max_connections(MAX_CONNECTIONS);
    let pool = match keep {
        // A connection that has ended is noticed when it is used, and replaced.
        Keep::All => {
            let pool = pool.min_connections(MAX_CONNECTIONS).idle_timeout(None).max_lifetime(None);
            pool.acquire_timeout(ACQUIRE_TIMEOUT)
        }
        Keep::None => pool.acquire_timeout(STARTUP_TIMEOUT),
    };
    let pool = pool.after_connect(|connection, _| {
        Box::pin(async move { sqlx::raw_sql(SESSION).execute(connection).await.map(drop) })
    });
    let pool = pool.connect_lazy_with(options);
    if keep == Keep::All {
        fill(&pool, deadline).await.context("cannot open a second connection to the database at DATABASE_URL")?;
    }
    Ok(pool)
}

/// Opens all connections, as far as the server has them: on a busy machine that takes longer than a query waits for one. Fails
/// if there is not even one before the deadline.
async fn fill(pool: &PgPool, deadline: Instant) -> sqlx::Result<()> {
    let (mut open, mut failures) = (Vec::new(), 0);
    while open.len() < MAX_CONNECTIONS as usize {
        match pool.acquire().await {
            Ok(connection) => open.push(connection),
            Err(error) if open.is_empty() => {
                if !is_away(&error) || Instant::now() > deadline {
                    return Err(error);
                }
                warn!(%error, "the database is slow to connect, retrying");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            // It is slow, or at its limit: then the service has fewer, until that has more.
            Err(_) if failures < FILL_RETRIES => failures += 1,
            Err(_) => break,
        }
    }
    Ok(())
}

/// Checks the extensions, then applies pending migrations, under sqlx's advisory lock, so that instances that start together take turns. Ignores
/// applied migrations that this release does not have, so that an older release starts after a rollback. Fails if a
/// migration fails or if an applied one was edited.
pub async fn migrate(pool: &PgPool) -> anyhow::Result<()> {
    extensions::check(pool).await?;
    let mut migrator: Migrator = sqlx::migrate!();
    migrator.set_ignore_missing(true);
    migrator.run(pool).await.context("cannot migrate the database")?;
    info!(head = migrator.iter().map(|migration| migration.version).max(), "database schema is up to date");
    Ok(())
}

/// A listener for notifications, on a connection of its own.
///
/// # Errors
/// If the database is unreachable.
pub async fn listener(pool: &PgPool) -> sqlx::Result<PgListener> {
    let options = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_TIMEOUT);
    let options = options.idle_timeout(None).max_lifetime(None);
    PgListener::connect_with(&options.connect_lazy_with((*pool.connect_options()).clone())).await
}

/// Runs a query that may run twice, once more on another connection if the first one ended under it: the server restarts, or
/// an administrator has ended the connection.
///
/// # Errors
/// Those of the query.
pub async fn retried<T, F: Future<Output = sqlx::Result<T>>>(query: impl Fn() -> F) -> sqlx::Result<T> {
    match query().await {
        Err(error) if was_cut(&error) => {
            warn!(%error, "the connection to the database ended, trying again");
            query().await
        }
        done => done,
    }
}

/// Whether the connection ended under the query. The query may have been carried out.
pub fn was_cut(error: &sqlx::Error) -> bool {
    // Classes: 57P operator intervention, 08 connection exception.
    matches!(error, sqlx::Error::Io(_)) || has_class(error, &["57P", "08"])
}

/// Whether the database cannot be used at the moment, and the query is not at fault.
pub fn is_away(error: &sqlx::Error) -> bool {
    use sqlx::Error::{Io, PoolClosed, PoolTimedOut, Tls};
    // Class 53: the server is out of connections, memory or disk space.
    matches!(error, Io(_) | Tls(_) | PoolTimedOut | PoolClosed) || has_class(error, &["57P", "08", "53"])
}

/// Whether a retry cannot help: the server rejects the credentials or has no such database, or its certificate is not trusted.
fn is_permanent(error: &sqlx::Error) -> bool {
    // Classes: 28 invalid authorization, 3D invalid catalog name.
    has_class(error, &["28", "3D"]) || unreachable::is_untrusted(error)
}

/// Whether the server's SQLSTATE begins with one of these.
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn has_class(error: &sqlx::Error, classes: &[&str]) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| classes.iter().any(|class| code.starts_with(class)))
}
