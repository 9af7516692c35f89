//! The stand-in with a real OpenTofu.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "../../../tests/common/go.rs"]
mod go;
#[path = "../../../tests/common/tofu.rs"]
mod tofu;

mod all;
mod data;
mod drift;
mod faults;
mod life;
mod plan;
mod secrets;
mod started;
mod world;
mod wrong;
