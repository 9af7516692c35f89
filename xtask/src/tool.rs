//! One local program each: how it is called and what it answers. Nothing is decided here.

pub mod cargo;
pub mod cmd;
pub mod git;
pub mod host;
pub mod npm;
