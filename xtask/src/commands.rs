//! One command each: calls operations and prints their results.

pub mod checks;
pub mod doctor;
pub mod operate;
pub mod setup;
