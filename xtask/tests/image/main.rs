//! The image of a service, from a commit to a digest: with real engines, a real buildkitd and real registries.

#[path = "../common/mod.rs"]
mod common;

mod building;
mod faults;
mod pushing;
mod secrets;
mod shop;
