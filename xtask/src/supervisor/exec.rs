//! The process between the supervisor and the service. It sets `LISTEN_PID` to its own process number, which the service
//! keeps.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};
use rustix::fs::{Gid, Uid};

use super::platform;
use crate::fs::Owner;

/// Arguments of the hidden command that becomes the service.
#[derive(Debug, clap::Args)]
pub struct SuperviseExec {
    /// The supervisor's process number. The service ends with it.
    #[arg(long)]
    pub parent: u32,
    /// The user that the service runs as; the supervisor's own by default.
    #[arg(long, requires = "gid")]
    pub uid: Option<u32>,
    /// The user's only group.
    #[arg(long, requires = "uid")]
    pub gid: Option<u32>,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
}

/// Replaces this process with the service. Returns only if that fails.
pub fn exec(args: SuperviseExec) -> Result<Infallible> {
    let (program, rest) = args.command.split_first().context("no program to run")?;
    let mut command = Command::new(program);
    command.args(rest).env("LISTEN_PID", std::process::id().to_string());
    if let (Some(uid), Some(gid)) = (args.uid, args.gid) {
        become_user(Owner { uid, gid }).with_context(|| format!("become user {uid}"))?;
        // The supervisor's are its user's, and closed to this one.
        command.env("HOME", "/").env_remove("TMPDIR");
    }
    // After that, because the kernel forgets it with every change of the user.
    platform::end_with_parent(args.parent)?;
    let error = command.exec();
    Err(error).with_context(|| format!("start {}", program.display()))
}

/// Gives up root for good: user, group, and every further group.
fn become_user(owner: Owner) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
    // A service may open its output by name, as /dev/stderr.
    for output in [rustix::stdio::stdout(), rustix::stdio::stderr()] {
        rustix::fs::fchown(output, Some(uid), Some(gid))?;
    }
    platform::set_user(uid, gid)
}
