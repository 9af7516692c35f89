//! The stand-in with a real OpenTofu.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "../../../tests/common/go.rs"]
mod go;
#[path = "../../../tests/common/moto.rs"]
mod moto;
#[path = "../../../tests/common/registry.rs"]
mod registry;
#[path = "../../../tests/common/tofu.rs"]
mod tofu;
#[allow(dead_code, reason = "who shares this file does not use all of it")]
#[path = "../../../tests/common/versitygw.rs"]
mod versitygw;

mod bucket;
mod common;
mod container;
mod data_source;
mod docker;
mod drift;
mod every_type;
mod faults;
mod harness;
mod import;
mod lifecycle;
mod plan;
mod plugin;
mod record;
mod secrets;
mod validate;
