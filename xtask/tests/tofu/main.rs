//! The lifecycle of a stack, with the real OpenTofu and a real S3 server for its state. The tests' own stacks only use
//! the built-in provider. This repository's stacks use the stand-in.

// Test helpers panic, as tests do.
#![allow(clippy::unwrap_used, clippy::panic)]

mod address;
mod approval;
mod away;
mod bootstrap;
mod ci_secrets;
mod drifted;
mod edited;
mod faults;
mod full;
mod gateway;
mod guard;
mod interrupt;
mod jobs;
mod keys;
mod killed;
mod life;
mod lifecycle;
mod media;
mod operations;
mod platform;
mod production;
mod provenance;
mod providers;
mod registry;
mod released;
mod run;
mod secrets;
mod sentinel;
mod signing_key;
mod site;
mod small;
mod stacks;
mod stopped;
mod storage;
mod trouble;
mod unseen;
mod variables;
mod whole;
mod wrong;
mod zone;
