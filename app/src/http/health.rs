//! `/api/health`: liveness, which depends on nothing, and readiness, which depends on the database and the storage.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    openapi::{Operation, Output},
    state::Version,
};
use crate::{
    process::Features,
    readiness::{Check, Readiness},
    worker::Worker,
};

/// The status with which the service is sent requests.
const READY: &str = "ready";

#[derive(Serialize, JsonSchema)]
pub struct LivenessResponse {
    #[schemars(extend("const" = "alive"))]
    status: &'static str,
}

#[derive(Serialize, JsonSchema)]
pub struct ReadinessResponse {
    #[schemars(extend("enum" = ["ready", "unready"]))]
    status: &'static str,
    /// Of the running release.
    version: String,
    checks: Vec<Check>,
    features: FeaturesResponse,
}

/// Each feature with `on`, or with `off: ` and what it takes.
#[derive(Serialize, JsonSchema)]
struct FeaturesResponse {
    video: String,
    ocr: String,
    heif: String,
    #[serde(rename = "fast-avif")]
    fast_avif: String,
}

/// `GET /api/health/liveness`: 200 while the process runs.
pub async fn liveness() -> Json<LivenessResponse> {
    Json(LivenessResponse { status: "alive" })
}

/// `GET /api/health/readiness`: 200 if all checks are ok, else 503. The body has the version, the result of each
/// check, and which features this machine has the programs for.
pub async fn readiness(
    State(readiness): State<Arc<Readiness>>,
    State(worker): State<Arc<Worker>>,
    State(version): State<Version>,
) -> ReadinessResponse {
    let checks = readiness.check().await;
    let ready = checks.iter().all(Check::is_ok);
    let status = if ready { READY } else { "unready" };
    let features = FeaturesResponse::new(worker.features());
    ReadinessResponse { status, version: version.0.to_string(), checks, features }
}

impl FeaturesResponse {
    fn new(features: Features) -> Self {
        let state = |is_on: bool, otherwise: &str| if is_on { "on".to_owned() } else { format!("off: {otherwise}") };
        Self {
            video: state(features.video, "ffmpeg and ffprobe are not installed"),
            ocr: state(features.ocr, "Tesseract or its models for English and Finnish are not installed"),
            heif: state(features.heif, "heif-convert is not installed"),
            fast_avif: state(
                features.fast_avif,
                "avifdec is not installed beside heif-convert, which takes AVIF several times as long",
            ),
        }
    }
}

impl IntoResponse for ReadinessResponse {
    fn into_response(self) -> Response {
        let status = if self.status == READY { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, Json(self)).into_response()
    }
}

impl Output for ReadinessResponse {
    fn describe(operation: &mut Operation<'_>) {
        for status in [503, 200] {
            operation.answers(status);
            operation.answer_json::<Self>();
        }
    }
}
