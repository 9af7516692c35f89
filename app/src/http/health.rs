//! How the service is: liveness depends on nothing, readiness on what requests need.

use std::{
    collections::BTreeMap,
    future::Future,
    time::{Duration, Instant},
};

use axum::{Json, extract::State, http::StatusCode, response::IntoResponse, response::Response};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::state::AppState;

/// Probes within this time share one look at the database and the storage.
const CACHED: Duration = Duration::from_secs(1);

/// What does not answer within this time has failed.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The last look, and the lock that lets only one request look at a time.
#[derive(Default)]
pub struct Health {
    last: Mutex<Option<(Instant, Vec<Check>)>>,
}

/// One thing that requests need.
#[derive(Clone, Debug, Serialize)]
struct Check {
    name: &'static str,
    status: &'static str,
    detail: Option<String>,
}

/// `GET /api/health/liveness`: the process answers.
pub async fn liveness() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

/// `GET /api/health/readiness`: 200 or 503, the version, each check, and what is on or off.
pub async fn readiness(State(state): State<AppState>) -> Response {
    let checks = checks(&state).await;
    let ready = checks.iter().all(|check| check.status == "ok");
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "status": if ready { "ready" } else { "unready" },
        "version": state.version,
        "checks": checks,
        "features": BTreeMap::<&str, &str>::new(),
    });
    (status, Json(body)).into_response()
}

async fn checks(state: &AppState) -> Vec<Check> {
    let mut last = state.health.last.lock().await;
    if let Some((when, checks)) = &*last
        && when.elapsed() < CACHED
    {
        return checks.clone();
    }
    let database = async { sqlx::query("SELECT 1").execute(&state.db).await.map(drop) };
    let (database, storage) = tokio::join!(check("database", database), check("storage", state.storage.check()));
    let checks = vec![database, storage];
    *last = Some((Instant::now(), checks.clone()));
    checks
}

/// Details name the kind of failure, not the machine's addresses and paths: anybody may ask.
async fn check<E: std::fmt::Display>(name: &'static str, work: impl Future<Output = Result<(), E>>) -> Check {
    let detail = match tokio::time::timeout(TIMEOUT, work).await {
        Ok(Ok(())) => return Check { name, status: "ok", detail: None },
        Ok(Err(error)) => {
            tracing::warn!(name, %error, "a readiness check failed");
            "it answers with an error; the log tells more".to_owned()
        }
        Err(_) => {
            tracing::warn!(name, "a readiness check got no answer");
            format!("no answer within {} s", TIMEOUT.as_secs())
        }
    };
    Check { name, status: "failed", detail: Some(detail) }
}
