//! The stand-in of GitHub: what it keeps, what it refuses, how it fails.

// The client of these tests fails them by panicking.
#![allow(clippy::unwrap_used, clippy::panic)]

mod client;
mod commits;
mod releases;
mod requests;
mod settings;
mod types;
mod workflows;
