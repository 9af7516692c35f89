//! The media service: users upload pictures, find them again and share them. `cli.rs` is its command line.

mod auth;
mod cli;
mod db;
mod healthcheck;
mod http;
mod ingest;
mod media;
mod process;
mod readiness;
mod serve;
mod settings;
mod storage;
mod validate;

pub use cli::main;
