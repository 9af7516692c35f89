//! The toolkit.
mod config;
mod secrets;
mod tool;
fn main() {}
