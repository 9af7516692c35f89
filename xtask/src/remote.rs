//! One remote system each: calls and answers, no policy.

#[allow(dead_code, unused_imports)]
pub mod buildkit;
#[allow(dead_code, unused_imports)]
pub mod docker;
pub mod service;
