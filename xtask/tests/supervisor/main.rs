//! The supervisor with real processes: the built toolkit as supervisor, and this test binary itself, run again with
//! [`fixture::service`] alone, as the service.

// Helpers of tests fail by panicking, as tests do.
#![allow(clippy::unwrap_used)]

mod crash;
mod deploy;
mod fixture;
mod limits;
mod load;
mod site;
