//! The supervisor with real processes. The built toolkit is the supervisor. This test binary, run with the test
//! [`fixture::service`] alone, is the service.

// Test helpers panic, as tests do.
#![allow(clippy::unwrap_used)]

mod crash;
mod deploy;
mod fixture;
mod limits;
mod load;
mod relay;
mod site;
mod stock;
