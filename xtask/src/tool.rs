//! One local program each: how it is called and what it answers. Nothing is decided here.

pub mod cmd;
