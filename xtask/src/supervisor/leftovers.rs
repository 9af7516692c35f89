//! Children of a supervisor that was killed. They hold the public socket, so the next supervisor stops them before it binds.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::time::{Instant, sleep};

use super::platform::identity;
use crate::fs::{found, read_file, replace_file_soon};

/// How long leftovers may drain. It is short, because the service is down meanwhile.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// How often to check whether they have ended. They are not this process's children, so the kernel reports no exit.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The file of running children: process number and identity.
pub(super) struct Leftovers {
    path: Utf8PathBuf,
    children: BTreeMap<u32, String>,
}

impl Leftovers {
    /// Stops the children that an earlier supervisor of this folder left, and begins a new file. The caller holds the
    /// supervisor's lock.
    pub(super) async fn stop(state_dir: &Utf8Path) -> Result<Self> {
        let path = state_dir.join("children.json");
        let text = found(read_file(&path))?.unwrap_or_default();
        // A damaged file is from a crash of the machine, which ended the processes, too.
        let children: BTreeMap<u32, String> = serde_json::from_slice(&text).unwrap_or_default();
        let mut left = Self { path, children };
        left.children.retain(|pid, identity| is_alive(*pid, identity));
        left.signal(Signal::TERM);
        let deadline = Instant::now() + STOP_TIMEOUT;
        while !left.children.is_empty() {
            if Instant::now() > deadline {
                left.signal(Signal::KILL);
            }
            sleep(POLL_INTERVAL).await;
            left.children.retain(|pid, identity| is_alive(*pid, identity));
        }
        left.write()?;
        Ok(left)
    }

    /// Adds a child.
    pub(super) fn add(&mut self, pid: u32) -> Result<()> {
        if let Some(identity) = identity(pid) {
            self.children.insert(pid, identity);
        }
        self.write()
    }

    /// Removes a child that has ended.
    pub(super) fn remove(&mut self, pid: u32) -> Result<()> {
        self.children.remove(&pid);
        self.write()
    }

    fn signal(&self, signal: Signal) {
        for pid in self.children.keys().filter_map(|pid| Pid::from_raw(pid.cast_signed())) {
            // Fails if the process has ended meanwhile.
            if signal == Signal::KILL {
                kill_process_group(pid, signal).ok()
            } else {
                kill_process(pid, signal).ok()
            };
        }
    }

    fn write(&self) -> Result<()> {
        let text = serde_json::to_vec(&self.children).context("write the list of children as JSON")?;
        replace_file_soon(&self.path, &text)
    }
}

fn is_alive(pid: u32, expected: &str) -> bool {
    identity(pid).is_some_and(|actual| actual == expected)
}
