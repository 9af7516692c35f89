//! The stand-in with a real OpenTofu.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod adopt;
mod all;
mod bucket;
mod container;
mod data;
mod drift;
mod engine;
mod faults;
mod life;
mod plan;
mod record;
mod secrets;
mod started;
mod world;
mod wrong;
