//! One local program each: how it is called and what it answers. Nothing is decided here.

pub mod apt;
pub mod cmd;
pub mod platform;
pub mod port;
pub mod postgres;
