//! `/api/health`: liveness, which depends on nothing, and readiness, which depends on the database and the storage.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::state::Version;
use crate::readiness::{Check, Readiness};

/// `GET /api/health/liveness`: 200 while the process runs.
pub async fn liveness() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

/// `GET /api/health/readiness`: 200 if all checks are ok, else 503. The body has the version and the result of each check.
pub async fn readiness(State(readiness): State<Arc<Readiness>>, State(version): State<Version>) -> Response {
    let checks = readiness.check().await;
    let ready = checks.iter().all(Check::is_ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "status": if ready { "ready" } else { "unready" },
        "version": &*version.0,
        "checks": checks,
        "features": BTreeMap::<&str, &str>::new(),
    });
    (status, Json(body)).into_response()
}
