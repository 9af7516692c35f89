//! The supervisor of the local target: a small process in its own session that outlives the deploy command.
//!
//! It owns the service's public listening socket and hands it to each version by socket activation: the old and the new
//! version accept from one queue, so no connection is lost when the old one stops. What crashes is started again, and
//! clients wait in the queue meanwhile.
//!
//! A deploy is tied to one control connection: `candidate` (the new version on a private socket, for the caller to
//! probe), `promote` (the new version on the public socket, beside the old one), `commit` (the old one drains).
//! `discard`, or the end of the connection before `commit`, ends the new version and leaves the old one as it was.

use camino::{Utf8Path, Utf8PathBuf};

pub mod client;
mod control;
mod deploy;
mod exec;
pub mod folder;
mod instance;
mod keeper;
mod launch;
mod leftovers;
mod log;
mod output;
mod platform;
mod protocol;
mod serve;
mod shared;

pub use exec::{SuperviseExec, exec};
pub use launch::{LaunchError, launch};
pub use protocol::{InstanceSpec, InstanceStatus, Role, Status};
pub use serve::{Supervise, supervise};

/// The log of the service: what every instance wrote to its standard output and error. Rotated to `.1` … `.5`.
pub fn service_log(state_dir: &Utf8Path) -> Utf8PathBuf {
    state_dir.join("logs/service.log")
}

/// The log of the supervisor itself. Rotated to `.1` … `.5`.
pub fn supervisor_log(state_dir: &Utf8Path) -> Utf8PathBuf {
    state_dir.join("logs/supervisor.log")
}
