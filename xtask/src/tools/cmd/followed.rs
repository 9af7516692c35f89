//! A program under way whose lines are read one by one, and that can be sent a signal meanwhile.

use std::process::{ExitStatus, Stdio};

use anyhow::{Context as _, Result};
use rustix::process::{Signal, kill_process_group};
use tokio::io::BufReader;
use tokio::process::{ChildStderr, ChildStdout};

use super::{Cmd, Lines, Running};
use crate::secrets::Redactor;

/// A program that runs. Dropped, it is asked to end.
pub struct Followed {
    name: String,
    running: Running,
    out: Lines<BufReader<ChildStdout>>,
    err: Lines<BufReader<ChildStderr>>,
    redactor: Redactor,
}

impl Cmd {
    /// Starts it, to be followed line by line.
    pub fn follow(&self) -> Result<Followed> {
        let mut running = self.spawn(Stdio::piped())?;
        let out = Lines::new(running.child.stdout.take().map(BufReader::new));
        let err = Lines::new(running.child.stderr.take().map(BufReader::new));
        Ok(Followed { name: self.to_string(), running, out, err, redactor: self.redactor.clone() })
    }
}

impl Followed {
    /// The next line of either stream, redacted; none when both have ended. Nothing is lost when this is dropped half-way.
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

    /// Sends a signal to it and to all that it started.
    pub fn signal(&self, signal: Signal) {
        if let Some(group) = self.running.group {
            // Nothing can be done about a group that is already gone.
            kill_process_group(group, signal).ok();
        }
    }

    /// Sends a signal to it alone: what it started is its own to end.
    pub fn signal_alone(&self, signal: Signal) {
        if let Some(process) = self.running.group {
            rustix::process::kill_process(process, signal).ok();
        }
    }

    /// Waits for its end.
    pub async fn wait(mut self) -> Result<ExitStatus> {
        self.running.wait().await.with_context(|| format!("wait for `{}`", self.name))
    }
}
