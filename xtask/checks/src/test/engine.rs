//! A Docker engine for as long as the tests run.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use xtask::tools::platform;

const SOCKET: &str = "/var/run/docker.sock";
const PATIENCE: Duration = Duration::from_secs(60);

/// The engine that was started; [`Engine::end`] ends it.
pub struct Engine {
    process: Child,
    _log: NamedTempFile,
}

impl Engine {
    /// Starts Docker's engine where none answers, as on a machine without a service manager. Nothing is started where
    /// that takes root or there is no `dockerd`: the tests that need it then say so by name.
    pub async fn start_if_none() -> Result<Option<Self>> {
        if answers().await || !platform::is_root() {
            return Ok(None);
        }
        let Some(program) = platform::find_program("dockerd") else { return Ok(None) };
        let log = NamedTempFile::new().context("make a file for the log of the Docker engine")?;
        let out = || log.reopen().map(Stdio::from);
        let mut command = Command::new(&program);
        // Its own group: a Ctrl-C ends the tests first.
        command.stdin(Stdio::null()).stdout(out()?).stderr(out()?).process_group(0);
        let mut process = command.spawn().with_context(|| format!("start {program}"))?;
        let deadline = Instant::now() + PATIENCE;
        while !answers().await {
            let ended = process.try_wait().context("look after the Docker engine")?;
            if ended.is_some() || Instant::now() > deadline {
                let said = fs_err::read_to_string(log.path())?;
                let tail: Vec<&str> = said.lines().rev().take(5).collect();
                bail!("{program} did not come up; it said last:\n{}", tail.join("\n"));
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(Some(Self { process, _log: log }))
    }

    /// Ends it, and with it what runs in it.
    pub async fn end(mut self) -> Result<()> {
        if let Some(pid) = self.process.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            kill_process(pid, Signal::TERM).context("end the Docker engine")?;
        }
        self.process.wait().await.context("wait for the end of the Docker engine")?;
        Ok(())
    }
}

async fn answers() -> bool {
    UnixStream::connect(SOCKET).await.is_ok()
}
