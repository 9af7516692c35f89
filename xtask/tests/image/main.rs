//! The image of a service, from a commit to a digest: with real engines, a real buildkitd and real registries.

// Helpers of tests fail by panicking, as tests do.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

mod bases;
mod building;
#[path = "../common/buildkitd.rs"]
mod buildkitd;
#[path = "../common/child.rs"]
mod child;
#[path = "../journey/http.rs"]
mod client;
#[path = "../common/engine.rs"]
mod engine;
mod faults;
mod own;
mod pushing;
#[path = "../common/registry.rs"]
mod registry;
mod registry_commands;
mod secrets;
mod service;
mod shop;
