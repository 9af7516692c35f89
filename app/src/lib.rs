//! The media service: people upload pictures, find them again, share them. `main.rs` is its command line.

pub mod account;
pub mod db;
pub mod decode;
pub mod health;
pub mod http;
pub mod intake;
pub mod media;
pub mod password;
pub mod serve;
pub mod settings;
pub mod state;
pub mod storage;
pub mod thumbnail;
pub mod token;
pub mod validate;
