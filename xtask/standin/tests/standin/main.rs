//! The stand-in with a real OpenTofu.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod bucket;
mod container;
mod data_source;
mod docker;
mod drift;
mod every_type;
mod faults;
mod harness;
mod import;
mod lifecycle;
mod limits;
mod plan;
mod plugin;
mod record;
mod secrets;
mod validate;
