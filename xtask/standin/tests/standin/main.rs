//! The stand-in with a real OpenTofu.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "../../../tests/common/tofu.rs"]
mod tofu;

mod life;
mod world;
