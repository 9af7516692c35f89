//! The toolkit.
mod secrets;
mod tool;
fn main() {}
