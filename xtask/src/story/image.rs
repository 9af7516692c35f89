//! From a commit to an image with a digest.

#[allow(dead_code)]
pub mod progress;
