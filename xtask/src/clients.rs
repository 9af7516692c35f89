//! One remote system each: calls and answers, no policy.

pub mod aws;
pub mod buildkit;
pub mod dns;
pub mod docker;
pub mod registry;
pub mod route53;
pub mod s3;
pub mod scaleway;
pub mod service;
