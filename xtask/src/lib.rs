//! The toolkit as a library: what its program, the tests and the benches share.

#![allow(async_fn_in_trait, reason = "no other crate implements these traits")]

#[cfg(feature = "cloud")]
pub mod bootstrap;
pub mod changelog;
pub mod check;
pub mod ci;
#[cfg(feature = "cloud")]
pub mod ci_secrets;
pub mod cli;
pub mod clients;
pub mod commands;
pub mod config;
pub mod confirm;
pub mod deploy;
pub mod dev;
pub mod doctor;
pub mod env;
pub mod failure;
pub mod fs;
pub mod hash;
#[cfg(feature = "cloud")]
pub mod image;
pub mod init;
pub mod needs;
pub mod program;
pub mod release;
#[cfg(feature = "cloud")]
pub mod releases;
pub mod render;
pub mod report;
pub mod secrets;
pub mod settings;
pub mod setup;
pub mod signals;
pub mod sqlx;
pub mod state;
pub mod supervisor;
pub mod targets;
#[cfg(feature = "cloud")]
pub mod tofu;
pub mod tools;
pub mod typed;
pub mod web;

/// The name of this package. A project that has the toolkit in its workspace may call it otherwise.
pub const PACKAGE: &str = env!("CARGO_PKG_NAME");
