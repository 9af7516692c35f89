//! A running program whose output is read line by line, and that can be sent signals.

use std::process::{ExitStatus, Stdio};

use anyhow::{Context as _, Result};
use rustix::process::{Signal, kill_process_group};
use tokio::io::BufReader;
use tokio::process::{ChildStderr, ChildStdout};

use super::Cmd;
use super::outliving::Outliving;
use super::process::{Lines, Running};
use crate::secrets::Redactor;
use crate::tools::platform;

/// A running program. Dropping it terminates the program.
pub struct Followed {
    name: String,
    running: Running,
    output: Output,
    redactor: Redactor,
}

enum Output {
    Pipes { out: Lines<BufReader<ChildStdout>>, err: Lines<BufReader<ChildStderr>> },
    File(Outliving),
}

impl Cmd {
    /// Starts it, to read its output line by line.
    pub fn follow(&self) -> Result<Followed> {
        let mut running = self.spawn(Stdio::piped(), Stdio::piped())?;
        let out = Lines::new(running.child.stdout.take().map(BufReader::new));
        let err = Lines::new(running.child.stderr.take().map(BufReader::new));
        Ok(self.followed(running, Output::Pipes { out, err }))
    }

    /// The same of a program that has to come to its end even when this process is killed meanwhile.
    pub fn follow_outliving(&self) -> Result<Followed> {
        let file = platform::memory_file().context("make a file for the program's output")?;
        let of = || file.try_clone().map(Stdio::from).context("pass that file on");
        let running = self.spawn(of()?, of()?)?;
        Ok(self.followed(running, Output::File(Outliving::new(file))))
    }

    fn followed(&self, running: Running, output: Output) -> Followed {
        Followed { name: self.to_string(), running, output, redactor: self.redactor.clone() }
    }
}

impl Followed {
    /// Its process number; none once it has ended and was waited for.
    pub fn pid(&self) -> Option<u32> {
        self.running.child.id()
    }

    /// The next line of either stream, redacted; none if both have ended. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<String>> {
        loop {
            let line = match &mut self.output {
                Output::File(file) => match file.next(&mut self.running.child).await? {
                    None => return Ok(None),
                    line => line,
                },
                Output::Pipes { out, err } => tokio::select! {
                    line = out.next(), if !out.ended => line?,
                    line = err.next(), if !err.ended => line?,
                    else => return Ok(None),
                },
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
