//! Real builds, by the machine's engine and by a `buildkitd` of the tests' own.

mod daemon;
mod engine;
mod faults;
mod scratch;

#[path = "../../../tests/common/buildkitd.rs"]
mod buildkitd;
#[path = "../../../tests/common/child.rs"]
mod child;
#[path = "../../../tests/common/go.rs"]
mod go;
#[path = "../../../tests/common/engine.rs"]
mod own_engine;
