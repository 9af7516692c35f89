//! The folder for temporary files of a run. When the run ends, in whatever way, no process lives there any more: tests
//! that are killed cannot end the supervisors and databases that they have started, which are sessions of their own.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The folder.
pub struct Folder(TempDir);

impl Folder {
    /// A new one, which every user can use as the system's own.
    pub fn new() -> Result<Self> {
        // Sockets lie below, and the path of a socket is short.
        let folder = tempfile::Builder::new().prefix("t-").tempdir().context("make a folder for the tests")?;
        fs_err::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o1777))?;
        Ok(Self(folder))
    }

    /// Its path.
    pub fn path(&self) -> &Utf8Path {
        Utf8Path::from_path(self.0.path()).unwrap_or(Utf8Path::new("/tmp"))
    }

    /// Kills what still runs there, and removes it.
    pub fn remove(self) -> Result<()> {
        kill_below(self.path());
        // What a server has mounted there may be busy for a moment; it is no failure of the tests.
        self.0.close().ok();
        Ok(())
    }
}

/// Kills the processes that were started in a folder or whose arguments name something in it, as far as the system tells.
fn kill_below(folder: &Utf8Path) {
    let Ok(processes) = fs_err::read_dir("/proc") else { return };
    for process in processes.flatten() {
        let pid = process.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        let Some(pid) = pid.filter(|pid| *pid != rustix::process::getpid()) else { continue };
        let is_there = std::fs::read_link(process.path().join("cwd")).is_ok_and(|path| path.starts_with(folder));
        let arguments = fs_err::read(process.path().join("cmdline")).unwrap_or_default();
        let names_it = String::from_utf8_lossy(&arguments).contains(&format!("{folder}/"));
        if is_there || names_it {
            kill_process(pid, Signal::KILL).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn what_runs_in_the_folder_ends_with_it() {
        let folder = Folder::new().unwrap();
        let path = folder.path().to_owned();
        let mut there = Command::new("sleep").arg("1000").current_dir(&path).spawn().unwrap();
        let mut elsewhere = Command::new("sleep").arg("1000").current_dir("/").spawn().unwrap();
        folder.remove().unwrap();
        assert!(!there.wait().unwrap().success() && !path.exists());
        assert!(elsewhere.try_wait().unwrap().is_none());
        elsewhere.kill().unwrap();
        elsewhere.wait().unwrap();
    }
}
