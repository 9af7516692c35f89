//! The media service: users upload pictures, find them again and share them. `main.rs` is its command line.

mod auth;
mod db;
mod decode;
pub mod healthcheck;
mod http;
mod ingest;
mod media;
mod readiness;
pub mod serve;
pub mod settings;
mod storage;
mod thumbnail;
mod validate;
