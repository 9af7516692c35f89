//! How a service is reached: who resolves its name, and whose certificates are trusted.

use std::sync::Arc;

use reqwest::dns::Resolve;

/// How a service is reached.
#[derive(Clone, Default)]
pub struct Network {
    /// Resolves names; none for the system's resolver.
    pub resolver: Option<Arc<dyn Resolve>>,
    /// Authorities that are trusted beside the system's.
    pub authorities: Vec<reqwest::Certificate>,
}
