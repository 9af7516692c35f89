//! The image of a service, from a commit to a digest: with real engines, a real buildkitd and real registries.

// The tests of the toolkit share these, and use more of them.
#[allow(dead_code)]
#[path = "../common/mod.rs"]
mod common;

mod bases;
mod builders;
mod building;
#[allow(dead_code)]
#[path = "../common/buildkitd.rs"]
mod buildkitd;
#[allow(dead_code)]
#[path = "../common/child.rs"]
mod child;
#[allow(dead_code)]
#[path = "../journey/http.rs"]
mod client;
#[allow(dead_code)]
#[path = "../common/engine.rs"]
mod engine;
mod faults;
mod own;
mod pushing;
#[allow(dead_code)]
#[path = "../common/registry.rs"]
mod registry;
mod registry_commands;
mod secrets;
mod service;
mod shop;
