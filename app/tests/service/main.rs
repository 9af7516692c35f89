//! Tests of the built binary, with a database for each test.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking, also in shared helpers")]

mod access;
mod accounts;
mod accounts_login;
mod accounts_sessions;
mod changes;
mod clips;
mod config;
mod drain;
mod files;
mod health;
mod lifecycle;
mod limits;
mod location;
mod media;
mod ocr;
mod pictures;
mod process;
mod proxy;
mod raw_http;
mod real_pictures;
mod rejected_uploads;
mod resumable;
mod search;
mod storage;
mod support;
mod work;
