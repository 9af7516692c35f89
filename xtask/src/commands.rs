//! One command each: calls operations and prints their results.

pub mod bench;
pub mod doctor;
pub mod operate;
pub mod setup;
pub mod test;
