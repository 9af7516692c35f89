//! The toolkit.
fn main() {}
