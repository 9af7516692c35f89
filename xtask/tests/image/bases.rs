//! The images that the service's image is built on.
pub fn ensure(_argument: &str, _name: &str) {}
