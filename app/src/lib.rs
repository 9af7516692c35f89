//! The media service: users upload pictures, find them again and share them. `cli.rs` is its command line.

mod auth;
mod cli;
mod content;
mod db;
mod file_infos;
mod healthcheck;
mod http;
mod ingest;
mod jobs;
mod media;
pub mod process;
mod readiness;
mod resumable;
mod serve;
mod settings;
mod storage;
mod validate;
mod worker;

pub use cli::main;
