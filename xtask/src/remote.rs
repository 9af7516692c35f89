//! One remote system each: calls and answers, no policy.

pub mod registry;
pub mod service;
