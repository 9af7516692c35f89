//! Poolers of connections, such as PgBouncer. One that gives a client another connection for each transaction keeps no prepared
//! statement, no setting, no lock of a session and no `LISTEN`; the service needs them all, and would fail now and then.

use std::time::Duration;

use anyhow::bail;
use sqlx::{Connection as _, PgConnection, Row as _, postgres::PgConnectOptions};
use tokio::time::timeout;

/// How long a pooler may take to find a connection.
const PATIENCE: Duration = Duration::from_secs(2);

/// Fails where transactions of one client get different connections, as far as that shows. A pooler hands on the connection that was
/// used last: here to a second client, which keeps it.
///
/// # Errors
/// With the setting to change.
pub async fn check(mut first: PgConnection, options: &PgConnectOptions) -> anyhow::Result<()> {
    // A server that is at its limit says so where the connections are needed.
    let asked = timeout(4 * PATIENCE, is_shared(&mut first, options)).await;
    let is_shared = asked.is_ok_and(|asked| asked.unwrap_or(false));
    // It must not count at a server that is at its limit.
    drop(first.close().await);
    if is_shared {
        bail!(
            "DATABASE_URL leads to a pooler that gives each transaction another connection: use its session mode \
             (PgBouncer: pool_mode = session; Supabase: port 5432), or the database's own address"
        );
    }
    Ok(())
}

async fn is_shared(first: &mut PgConnection, options: &PgConnectOptions) -> sqlx::Result<bool> {
    sqlx::raw_sql("SELECT set_config('app.session', 'first', false)").execute(&mut *first).await?;
    let mut second = PgConnection::connect_with(options).await?;
    let begun = timeout(PATIENCE, sqlx::raw_sql("BEGIN").execute(&mut second)).await;
    // The pooler has one connection, and the first client keeps it.
    let Ok(begun) = begun else { return Ok(false) };
    begun?;
    let ask = sqlx::raw_sql("SELECT current_setting('app.session', true)").fetch_one(first);
    let Ok(kept) = timeout(PATIENCE, ask).await else {
        // If the pooler has one connection, the second client has it now. A server that stalls keeps that one waiting, too.
        let second = timeout(PATIENCE, sqlx::raw_sql("SELECT 1").execute(&mut second)).await;
        return Ok(second.is_ok_and(|answered| answered.is_ok()));
    };
    let kept: Option<String> = kept?.try_get(0)?;
    drop(second.close().await);
    Ok(kept.as_deref() != Some("first"))
}
