//! A running program whose output is read line by line, and that can be sent signals.

use std::process::{ExitStatus, Stdio};

use anyhow::{Context as _, Result};
use rustix::process::{Signal, kill_process_group};
use tokio::io::BufReader;
use tokio::process::{ChildStderr, ChildStdout};

use super::Cmd;
use super::process::{Lines, Running};
use crate::secrets::Redactor;

/// A running program. Dropping it terminates the program.
pub struct Followed {
    name: String,
    running: Running,
    out: Lines<BufReader<ChildStdout>>,
    err: Lines<BufReader<ChildStderr>>,
    redactor: Redactor,
}

impl Cmd {
    /// Starts it, to read its output line by line.
    pub fn follow(&self) -> Result<Followed> {
        let mut running = self.spawn(Stdio::piped())?;
        let out = Lines::new(running.child.stdout.take().map(BufReader::new));
        let err = Lines::new(running.child.stderr.take().map(BufReader::new));
        Ok(Followed { name: self.to_string(), running, out, err, redactor: self.redactor.clone() })
    }
}

impl Followed {
    /// The next line of either stream, redacted; none if both have ended. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<String>> {
        loop {
            let line = tokio::select! {
                line = self.out.next(), if !self.out.ended => line?,
                line = self.err.next(), if !self.err.ended => line?,
                else => return Ok(None),
            };
            if let Some(line) = line {
                return Ok(Some(self.redactor.redact(&line).into_owned()));
            }
        }
    }

    /// Sends a signal to its process group.
    pub fn signal(&self, signal: Signal) {
        if let Some(group) = self.running.group {
            // Fails if the group has ended.
            kill_process_group(group, signal).ok();
        }
    }

    /// Sends a signal to the program only, which has to end its own children.
    pub fn signal_alone(&self, signal: Signal) {
        if let Some(process) = self.running.group {
            rustix::process::kill_process(process, signal).ok();
        }
    }

    /// Waits until it ends.
    pub async fn wait(mut self) -> Result<ExitStatus> {
        self.running.wait().await.with_context(|| format!("wait for `{}`", self.name))
    }
}
