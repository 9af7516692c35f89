//! The built toolkit with a service that is not this repository's: what it does, what it says, and what is left when
//! anything on the way fails.

// Helpers of tests fail by panicking, as tests do.
#![allow(clippy::unwrap_used, clippy::panic)]

mod disk;
mod dry_run;
mod gate;
mod help;
mod interrupt;
mod kill;
mod lifecycle;
mod load;
mod lock;
mod migrations;
mod output;
mod preflight;
mod prune;
mod render;
mod schema;
mod secrets;
mod sqlx;
mod supervision;
mod usage;
mod web;
