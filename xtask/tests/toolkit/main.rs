//! The built toolkit with a service of another repository: its behaviour, its output, and its state after failures.

// Test helpers panic, as tests do.
#![allow(clippy::unwrap_used, clippy::panic)]

mod addresses;
mod beside;
mod ci;
mod command;
mod compose;
mod dev;
mod disk;
mod dry_run;
mod environment;
mod gate;
mod help;
mod hints;
mod hostile;
mod interrupt;
mod intruder;
mod kill;
mod lifecycle;
mod load;
mod lock;
mod migrations;
mod one_off;
mod output;
mod port;
mod preflight;
mod prune;
mod records;
mod release;
mod render;
mod schema;
mod secrets;
mod sentinel;
mod sqlx;
mod status;
mod supervision;
mod terminal;
mod usage;
mod users;
mod version;
mod watch;
mod way_back;
mod web;
mod workflows;
