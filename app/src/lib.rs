//! The media service: people upload pictures, find them again, share them. `main.rs` is its command line.

mod account;
mod db;
mod decode;
pub mod health;
mod http;
mod intake;
mod media;
mod password;
pub mod serve;
pub mod settings;
mod state;
mod storage;
mod thumbnail;
mod token;
mod validate;
