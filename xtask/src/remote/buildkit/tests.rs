//! Real builds, by the machine's engine and by a `buildkitd` of the tests' own.

mod daemon;
mod engine;
mod faults;
mod scratch;

#[path = "../../../tests/image/buildkitd.rs"]
mod buildkitd;
#[path = "../../../tests/image/child.rs"]
mod child;
#[path = "../../../tests/image/engine.rs"]
mod own_engine;
#[path = "../../../tests/image/registry.rs"]
mod registry;
