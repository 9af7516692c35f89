//! A stack from nothing to nothing, with the real OpenTofu and a real S3 server for its state. The stacks of these tests
//! take no provider but the one that is built in, or are this repository's own and take the stand-in.

// Helpers of tests fail by panicking, as tests do.
#![allow(clippy::unwrap_used, clippy::panic)]

mod approval;
mod bootstrap;
mod faults;
mod full;
mod guard;
mod interrupt;
mod life;
mod lifecycle;
mod providers;
mod registry;
mod run;
mod secrets;
mod sentinel;
mod site;
mod small;
mod stacks;
mod storage;
mod trouble;
mod variables;
mod whole;
mod wrong;
mod zone;
