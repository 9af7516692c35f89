//! One remote system each: calls and answers, no policy.

pub mod buildkit;
pub mod docker;
pub mod registry;
pub mod s3;
pub mod scaleway;
pub mod service;
