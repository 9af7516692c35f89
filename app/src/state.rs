//! What every request handler shares.

use std::sync::Arc;

use sqlx::PgPool;

use crate::{
    http::{auth::Gatekeeper, connections::Draining, health::Health},
    intake::Intake,
    storage::Storage,
};

/// Shared by all requests; cheap to clone.
pub type AppState = Arc<Shared>;

/// The parts of [`AppState`].
pub struct Shared {
    /// The database.
    pub db: PgPool,
    /// Where media is kept.
    pub storage: Arc<Storage>,
    /// Takes uploads in.
    pub intake: Arc<Intake>,
    /// Passwords, tokens and who may sign up.
    pub gatekeeper: Gatekeeper,
    /// What readiness answers.
    pub health: Health,
    /// Whether the service is stopping.
    pub draining: Draining,
    /// The release that runs.
    pub version: String,
    /// The largest accepted file, in bytes.
    pub max_upload_bytes: u64,
}
