//! The containers whose new version is being started.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// By name in the engine: the status that the platform has meanwhile.
#[derive(Debug, Default)]
pub struct Rollouts(Mutex<HashMap<String, &'static str>>);

/// Ends when it is dropped.
pub struct Rollout<'a> {
    all: &'a Rollouts,
    name: String,
}

impl Rollouts {
    pub fn begin(&self, name: &str, status: &'static str) -> Rollout<'_> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), status);
        Rollout { all: self, name: name.to_owned() }
    }

    /// `creating` or `updating`. None if no version is being started.
    pub fn status(&self, name: &str) -> Option<&'static str> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }
}

impl Drop for Rollout<'_> {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}
