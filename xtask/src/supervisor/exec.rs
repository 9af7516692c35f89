//! The process between the supervisor and the service. It sets `LISTEN_PID` to its own process number, which the service
//! keeps.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::platform;

/// Arguments of the hidden command that becomes the service.
#[derive(Debug, clap::Args)]
pub struct SuperviseExec {
    /// The supervisor's process number. The service ends with it.
    #[arg(long)]
    pub parent: u32,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
}

/// Replaces this process with the service. Returns only if that fails.
pub fn exec(args: SuperviseExec) -> Result<Infallible> {
    platform::end_with_parent(args.parent)?;
    let (program, rest) = args.command.split_first().context("no program to run")?;
    let error = Command::new(program).args(rest).env("LISTEN_PID", std::process::id().to_string()).exec();
    Err(error).with_context(|| format!("start {}", program.display()))
}
