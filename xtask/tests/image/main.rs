//! The image of a service, from a commit to a digest: with real engines, a real buildkitd and real registries.

#![allow(clippy::unwrap_used, clippy::panic)]
#![allow(dead_code, reason = "what is shared with other tests has more than is used here")]

#[path = "../common/mod.rs"]
mod common;

#[path = "../common/buildkitd.rs"]
mod buildkitd;
#[path = "../common/child.rs"]
mod child;
#[path = "../journey/http.rs"]
mod client;
#[path = "../common/engine.rs"]
mod engine;
#[path = "../common/go.rs"]
mod go;
#[path = "../common/registry.rs"]
mod registry;

mod bases;
mod builders;
mod building;
mod faults;
mod own;
mod pushing;
mod registry_commands;
mod secrets;
mod service;
mod shop;
