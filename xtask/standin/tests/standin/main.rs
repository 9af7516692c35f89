//! The stand-in with a real OpenTofu.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod bucket;
mod container;
mod data_source;
mod dns;
mod docker;
mod drift;
mod edge;
mod every_type;
mod faults;
mod gateway;
mod harness;
mod import;
mod lifecycle;
mod limits;
mod plan;
mod platform;
mod plugin;
mod queue;
mod record;
mod route53;
mod secrets;
mod validate;
