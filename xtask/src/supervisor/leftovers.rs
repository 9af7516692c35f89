//! Children of a supervisor that was killed. They hold the public socket, so the next one ends them before it binds.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::time::{Instant, sleep};

use super::platform::birth_mark;
use crate::fs::{found, replace_file_soon};

/// How long leftovers may drain. Nobody serves meanwhile, so it is short.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often they are looked at. They are nobody's children here, so the kernel tells nobody of their end.
const LOOK: Duration = Duration::from_millis(20);

/// The file that names the children that run, by process number and birth mark.
pub(super) struct Leftovers {
    path: Utf8PathBuf,
    children: BTreeMap<u32, String>,
}

impl Leftovers {
    /// Ends what a former supervisor of this folder left running, and starts a new account. Takes the supervisor's lock.
    pub(super) async fn end(state_dir: &Utf8Path) -> Result<Self> {
        let path = state_dir.join("children.json");
        let text = found(fs_err::read(&path))?.unwrap_or_default();
        // One that cannot be read was damaged when the machine crashed, and its processes ended then.
        let children: BTreeMap<u32, String> = serde_json::from_slice(&text).unwrap_or_default();
        let mut left = Self { path, children };
        left.children.retain(|pid, mark| is_alive(*pid, mark));
        left.signal(Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        while !left.children.is_empty() {
            if Instant::now() > deadline {
                left.signal(Signal::KILL);
            }
            sleep(LOOK).await;
            left.children.retain(|pid, mark| is_alive(*pid, mark));
        }
        left.write()?;
        Ok(left)
    }

    /// One more child.
    pub(super) fn add(&mut self, pid: u32) -> Result<()> {
        if let Some(mark) = birth_mark(pid) {
            self.children.insert(pid, mark);
        }
        self.write()
    }

    /// A child ended.
    pub(super) fn remove(&mut self, pid: u32) -> Result<()> {
        self.children.remove(&pid);
        self.write()
    }

    fn signal(&self, signal: Signal) {
        for pid in self.children.keys().filter_map(|pid| Pid::from_raw(pid.cast_signed())) {
            // One that ended in between is what is wanted.
            if signal == Signal::KILL {
                kill_process_group(pid, signal).ok()
            } else {
                kill_process(pid, signal).ok()
            };
        }
    }

    fn write(&self) -> Result<()> {
        let text = serde_json::to_vec(&self.children).context("write the account of children as JSON")?;
        replace_file_soon(&self.path, &text)
    }
}

fn is_alive(pid: u32, mark: &str) -> bool {
    birth_mark(pid).is_some_and(|actual| actual == mark)
}
