//! `/api/admin`: the state of the service, for admins: its queue, its processes, what failed, and what is stored.

use std::sync::Arc;

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{access::Admin, error::ApiError, values::Rfc3339};
use crate::{
    instances::{self, Instance},
    jobs::{self, Kind},
    media::{
        MediaId,
        failures::{self, Failure},
        usage::{self, Usage},
    },
    worker::Worker,
};

/// Failures in one answer.
const MAX_FAILURES: i64 = 100;

#[derive(Serialize, JsonSchema)]
pub struct StatusResponse {
    queue: Vec<QueueResponse>,
    /// The processes that live, the oldest first.
    instances: Vec<InstanceResponse>,
}

/// The jobs of a kind, of all instances.
#[derive(Serialize, JsonSchema)]
pub struct QueueResponse {
    kind: Kind,
    /// They wait for a worker.
    due: i64,
    working: i64,
    /// They wait for their next attempt.
    postponed: i64,
    /// They failed too often and are tried no more.
    quarantined: i64,
    /// How long the oldest job that is due has waited, in seconds; `null` if none is.
    oldest_due_seconds: Option<f64>,
}

#[derive(Serialize, JsonSchema)]
pub struct InstanceResponse {
    /// `serve` or `worker`.
    command: String,
    version: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Rfc3339")]
    started_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Rfc3339")]
    seen_at: OffsetDateTime,
}

#[derive(Serialize, JsonSchema)]
pub struct StorageResponse {
    /// The accounts that have uploaded something, the largest first.
    items: Vec<UsageResponse>,
}

/// Bytes are those of the files as they are served; what is derived of them is not counted.
#[derive(Serialize, JsonSchema)]
pub struct UsageResponse {
    account: Uuid,
    username: String,
    /// Whether the account is deleted; its media stay.
    is_deleted: bool,
    /// How many media are in the gallery.
    media: i64,
    /// In bytes.
    size: i64,
    /// How many media are in the trash.
    trash: i64,
    /// In bytes.
    trash_size: i64,
}

#[derive(Serialize, JsonSchema)]
pub struct FailuresResponse {
    /// The newest, 100 at most.
    items: Vec<FailureResponse>,
    /// How many there are.
    total: i64,
    /// How many of them can be tried again.
    retryable: i64,
}

/// A media that failed, or a job on it that was given up.
#[derive(Serialize, JsonSchema)]
pub struct FailureResponse {
    #[schemars(with = "MediaId")]
    media: String,
    name: String,
    /// User name.
    uploader: String,
    /// Why the media failed: a stable code; `null` if it is ready.
    code: Option<String>,
    /// The job to try again; `null` if the content is at fault.
    job: Option<Kind>,
    attempts: Option<i32>,
    /// Of the last attempt, for people.
    error: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Rfc3339")]
    updated_at: OffsetDateTime,
}

#[derive(Serialize, JsonSchema)]
pub struct RetriedResponse {
    /// How many jobs are tried again.
    retried: i64,
}

/// `GET /api/admin/status`
pub async fn status(State(db): State<PgPool>, _: Admin) -> Result<Json<StatusResponse>, ApiError> {
    let counts = jobs::count(&db).await?;
    let queue = Kind::ALL.into_iter().map(|kind| QueueResponse::new(kind, &counts)).collect();
    let instances = instances::list(&db).await?.into_iter().map(InstanceResponse::from).collect();
    Ok(Json(StatusResponse { queue, instances }))
}

/// `GET /api/admin/storage`
pub async fn storage(State(db): State<PgPool>, _: Admin) -> Result<Json<StorageResponse>, ApiError> {
    let items = usage::by_account(&db).await?.into_iter().map(UsageResponse::from).collect();
    Ok(Json(StorageResponse { items }))
}

/// `GET /api/admin/failures`
pub async fn failures(State(db): State<PgPool>, _: Admin) -> Result<Json<FailuresResponse>, ApiError> {
    let found = failures::list(&db, MAX_FAILURES).await?;
    let items = found.newest.into_iter().map(FailureResponse::from).collect();
    Ok(Json(FailuresResponse { items, total: found.total, retryable: found.retryable }))
}

/// `POST /api/admin/failures/retry`: has all jobs tried again that were given up, but for those on media in the trash. One alone is tried
/// again by `POST /api/media/{id}/thumbnails` and `POST /api/media/{id}/ocr`.
pub async fn retry(
    State(db): State<PgPool>,
    State(worker): State<Arc<Worker>>,
    admin: Admin,
) -> Result<Json<RetriedResponse>, ApiError> {
    let retried = failures::retry_all(&db).await?;
    worker.wake();
    tracing::info!(retried, by = %admin.account.id, "failed jobs are tried again");
    Ok(Json(RetriedResponse { retried }))
}

impl QueueResponse {
    fn new(kind: Kind, counts: &[jobs::Count]) -> Self {
        let count = |state| counts.iter().find(|count| count.kind == kind.as_str() && count.state == state);
        let jobs = |state| count(state).map_or(0, |count| count.jobs);
        Self {
            kind,
            due: jobs("due"),
            working: jobs("working"),
            postponed: jobs("postponed"),
            quarantined: jobs("quarantined"),
            oldest_due_seconds: count("due").map(|count| count.oldest_seconds),
        }
    }
}

impl From<Instance> for InstanceResponse {
    fn from(instance: Instance) -> Self {
        let Instance { command, version, started_at, seen_at } = instance;
        Self { command, version, started_at, seen_at }
    }
}

impl From<Usage> for UsageResponse {
    fn from(usage: Usage) -> Self {
        let Usage { account, username, is_deleted, media, size, trash, trash_size } = usage;
        Self { account, username, is_deleted, media, size, trash, trash_size }
    }
}

impl From<Failure> for FailureResponse {
    fn from(failure: Failure) -> Self {
        let Failure { media, name, uploader, code, job, attempts, error, updated_at } = failure;
        let job = job.and_then(|job| Kind::ALL.into_iter().find(|kind| kind.as_str() == job));
        Self { media: media.to_string(), name, uploader, code, job, attempts, error, updated_at }
    }
}
