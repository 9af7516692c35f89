//! Readiness checks: whether the database and the storage work, and whether log-in tokens can be verified.

use std::{
    fmt::Display,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use schemars::JsonSchema;
use serde::Serialize;
use sqlx::PgPool;
use tokio::sync::Mutex;

use crate::{
    auth::Keys,
    storage::{Storage, StorageError},
};

/// How long a result is reused, so that frequent probes cost little.
const CACHE_TTL: Duration = Duration::from_secs(1);

/// A check that takes longer fails.
const TIMEOUT: Duration = Duration::from_secs(2);

const NO_CONNECTION: &str =
    "no connection within 1.5 s: the server is away or at its limit, or all connections are in use";

/// Runs the checks and caches their results.
pub struct Readiness {
    db: PgPool,
    storage: Arc<Storage>,
    /// Where Supabase keeps the accounts.
    keys: Option<Arc<Keys>>,
    /// Locked while the checks run, so that concurrent probes share one run.
    last: Mutex<Option<(Instant, Vec<Check>)>>,
}

/// The result of one check, as the readiness endpoint shows it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Check {
    name: &'static str,
    #[schemars(extend("enum" = ["ok", "failed"]))]
    status: &'static str,
    /// Why the check failed, or what does not work as it should. The endpoint is public, so this contains no addresses and no paths.
    detail: Option<String>,
}

impl Check {
    pub fn is_ok(&self) -> bool {
        self.status == "ok"
    }
}

impl Readiness {
    pub fn new(db: PgPool, storage: Arc<Storage>, keys: Option<Arc<Keys>>) -> Self {
        Self { db, storage, keys, last: Mutex::default() }
    }

    pub async fn check(&self) -> Vec<Check> {
        let mut last = self.last.lock().await;
        if let Some((when, checks)) = &*last
            && when.elapsed() < CACHE_TTL
        {
            return checks.clone();
        }
        let failed = |error: &dyn Display| Err(("failed with an error; see the service log", error.to_string()));
        let database = async {
            sqlx::query("SELECT 1").execute(&self.db).await.map(drop).or_else(|error| match error {
                sqlx::Error::PoolTimedOut => Err((NO_CONNECTION, error.to_string())),
                error => failed(&error),
            })
        };
        let storage = async {
            self.storage.check().await.or_else(|error| match error {
                StorageError::Full => Err(("the disk is full", error.to_string())),
                error => failed(&error),
            })
        };
        let (database, storage) = tokio::join!(run("database", database), run("storage", storage));
        let mut checks = vec![database, storage];
        checks.extend(self.keys.as_ref().map(|keys| key_check(keys)));
        *last = Some((Instant::now(), checks.clone()));
        checks
    }
}

/// Who is logged in stays so while Supabase is away.
fn key_check(keys: &Keys) -> Check {
    let (status, detail) = match (keys.has_any(), keys.is_current()) {
        (true, true) => ("ok", None),
        (true, false) => {
            ("ok", Some("the keys of log-in tokens cannot be fetched at the moment; the known ones are used"))
        }
        (false, _) => ("failed", Some("the keys of log-in tokens cannot be fetched; see the service log")),
    };
    Check { name: "keys", status, detail: detail.map(str::to_owned) }
}

/// The error of a check is what everyone may see, and what is logged.
async fn run(name: &'static str, check: impl Future<Output = Result<(), (&'static str, String)>>) -> Check {
    let detail = match tokio::time::timeout(TIMEOUT, check).await {
        Ok(Ok(())) => return Check { name, status: "ok", detail: None },
        Ok(Err((detail, error))) => {
            tracing::warn!(name, error, "readiness check failed");
            detail.to_owned()
        }
        Err(_) => {
            tracing::warn!(name, "readiness check timed out");
            format!("no response within {} s", TIMEOUT.as_secs())
        }
    };
    Check { name, status: "failed", detail: Some(detail) }
}
