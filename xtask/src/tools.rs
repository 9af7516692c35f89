//! One local program each: how it is called and what it answers. Nothing is decided here.

pub mod apt;
pub mod cargo;
pub mod cmd;
pub mod dockerignore;
pub mod git;
pub mod host;
pub mod npm;
pub mod platform;
pub mod port;
pub mod postgres;
pub mod sqlx;
pub mod tofu;
