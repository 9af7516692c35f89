//! Whole rehearsals: of the fixture's service, and how they end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ends;
mod host;
mod missing;
mod own;
mod shop;
mod whole;
