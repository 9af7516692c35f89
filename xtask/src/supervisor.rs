//! The supervisor of the local target: a small process in its own session. It outlives the deploy command.
//!
//! It owns the service's public listening socket and hands it to each version by socket activation: the old and the new
//! version accept from one queue, so no connection is lost when the old one stops. An instance that crashes is restarted, and
//! clients wait in the queue meanwhile.
//!
//! A deploy uses one control connection: `candidate` (starts the new version on a private socket, for the caller to probe),
//! `promote` (starts it on the public socket, beside the old one), `commit` (the old one drains). `discard`, or the end of the
//! connection before `commit`, stops the new version; the old one runs on.
//!
//! A service that opens a port of its own ([`InstanceSpec::port_variable`]) gets a free one, and the supervisor relays to it: its
//! candidate need not be started again to be promoted.

use std::ffi::OsString;

use camino::{Utf8Path, Utf8PathBuf};

pub mod client;
mod control;
mod deploy;
mod exec;
pub mod folder;
mod instance;
mod launch;
mod leftovers;
mod log;
mod monitor;
mod obstacle;
mod output;
mod platform;
mod protocol;
mod relay;
mod serve;
mod shared;

pub use exec::{SuperviseExec, exec};
pub use launch::{LaunchError, copy_program, launch};
pub use obstacle::Obstacle;
pub use platform::identity;
pub use protocol::{InstanceSpec, InstanceStatus, Role, Status};
pub use serve::{Supervise, supervise};

/// What the supervisor inherits from the command that launches it, and a release from the supervisor.
const INHERITED: [&str; 4] = ["PATH", "HOME", "TMPDIR", "LANG"];

fn inherited() -> impl Iterator<Item = (&'static str, OsString)> {
    INHERITED.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)))
}

/// The log of the service: the standard output and error of every instance. Rotated to `.1` … `.5`.
pub fn service_log(state_dir: &Utf8Path) -> Utf8PathBuf {
    state_dir.join("logs/service.log")
}

/// The log of the supervisor itself. Rotated to `.1` … `.5`.
pub fn supervisor_log(state_dir: &Utf8Path) -> Utf8PathBuf {
    state_dir.join("logs/supervisor.log")
}
