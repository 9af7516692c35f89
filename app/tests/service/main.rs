//! The built service, as a process, against a real PostgreSQL with a database for each test.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, also in what it shares with others")]

mod accounts;
mod config;
mod drain;
mod files;
mod health;
mod lifecycle;
mod media;
mod pictures;
mod proxy;
mod raw;
mod real_pictures;
mod refusals;
mod support;
