//! The media service: users upload pictures, find them again and share them. `cli.rs` is its command line.

mod auth;
mod cli;
mod db;
mod decode;
mod healthcheck;
mod http;
mod ingest;
mod media;
pub mod process;
mod readiness;
mod serve;
mod settings;
mod storage;
mod thumbnail;
mod validate;

pub use cli::main;
