//! The media service: users upload pictures, find them again and share them. `cli.rs` is its command line.

mod auth;
mod cli;
mod content;
mod db;
mod error_code;
mod file_infos;
mod healthcheck;
mod http;
mod http_client;
mod import;
mod ingest;
mod instances;
mod jobs;
mod media;
mod metrics;
mod migrate_auth;
mod notifications;
mod presigned;
pub mod process;
mod queue;
mod readiness;
mod resumable;
mod serve;
mod settings;
mod storage;
mod traces;
mod validate;
mod worker;

pub use cli::main;
