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

/// The toolkit is a binary without a library, so its client side is compiled into this test.
#[path = "../../src"]
#[allow(dead_code, unused_imports, unreachable_pub)]
mod toolkit {
    pub mod secrets;
    pub mod supervisor;
}

// Where the supervisor's modules expect it.
use toolkit::secrets;
use toolkit::supervisor;
