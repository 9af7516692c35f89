//! The release that serves, and one that has taken over.

use std::sync::Arc;

use super::stack::Platform;
use crate::clients::service::{Answer, Readiness, Service};
use crate::report::Summary;

/// The release that serves.
pub struct Serving {
    /// The id of the record that it was started by.
    pub id: String,
    /// The version.
    pub version: String,
    /// Where people reach it.
    pub address: String,
    /// Where its readiness is asked for.
    pub service: Service,
}

/// A release that has taken over.
pub struct Switched {
    /// Where people reach it.
    pub address: String,
    /// Its readiness there.
    pub readiness: Readiness,
    /// What of a stack's release can be watched.
    pub watched: Option<Watched>,
}

/// What of a release that serves on a stack can be watched.
pub struct Watched {
    /// Where its readiness is asked for.
    pub services: Vec<Service>,
    /// What the platform says of its container.
    pub platform: Arc<Platform>,
}

impl Serving {
    /// Its readiness, if it is ready in this version.
    pub async fn ready_as(&self, version: &str) -> Option<Readiness> {
        match self.service.ask().await {
            Answer::Ready(readiness) if readiness.version == version => Some(readiness),
            _ => None,
        }
    }
}

impl Summary for Switched {
    fn summary(&self) -> String {
        format!("answers at {}", self.address)
    }
}
