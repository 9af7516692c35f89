//! `/api/health`: liveness, which depends on nothing, and readiness, which depends on the database and the storage.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::state::Version;
use crate::{
    process::Features,
    readiness::{Check, Readiness},
    worker::Worker,
};

/// `GET /api/health/liveness`: 200 while the process runs.
pub async fn liveness() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

/// `GET /api/health/readiness`: 200 if all checks are ok, else 503. The body has the version, the result of each
/// check, and which features this machine has the programs for.
pub async fn readiness(
    State(readiness): State<Arc<Readiness>>,
    State(worker): State<Arc<Worker>>,
    State(version): State<Version>,
) -> Response {
    let checks = readiness.check().await;
    let ready = checks.iter().all(Check::is_ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "status": if ready { "ready" } else { "unready" },
        "version": &*version.0,
        "checks": checks,
        "features": features(worker.features()),
    });
    (status, Json(body)).into_response()
}

/// Each feature with `on`, or with what it takes.
fn features(features: Features) -> Value {
    let state = |is_on: bool, otherwise: &str| if is_on { "on".to_owned() } else { format!("off: {otherwise}") };
    json!({
        "video": state(features.video, "ffmpeg and ffprobe are not installed"),
        "ocr": state(features.ocr, "Tesseract or its models for English and Finnish are not installed"),
        "heif": state(features.heif, "heif-convert is not installed"),
    })
}
