//! One remote system each: calls and answers, no policy.

pub mod buildkit;
pub mod docker;
pub mod registry;
pub mod scaleway;
pub mod service;
