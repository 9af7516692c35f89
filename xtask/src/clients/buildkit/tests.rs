//! Real builds, by the machine's engine and by a `buildkitd` of the tests' own.

mod daemon;
mod engine;
mod faults;
mod hostile;
mod scratch;
