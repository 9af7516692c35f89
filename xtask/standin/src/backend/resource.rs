//! The context of an operation on one resource.

use tokio_util::sync::CancellationToken;

use crate::schema::{Object, Provider};
use crate::services::Services;
use crate::store::Store;

#[derive(Clone, Copy)]
pub struct Resource<'a> {
    pub store: &'a Store,
    pub services: &'a Services,
    pub provider: &'a Provider,
    /// The resource type.
    pub name: &'a str,
    /// The schema of the resource type.
    pub object: &'a Object,
    /// Cancelled when the user interrupts OpenTofu. A long operation then undoes what it has begun, and fails.
    pub stop: Option<&'a CancellationToken>,
}

impl Resource<'_> {
    /// Waits until the user interrupts OpenTofu.
    pub async fn stopped(&self) {
        match self.stop {
            Some(stop) => stop.cancelled().await,
            None => std::future::pending().await,
        }
    }
}
