//! Processes of this machine: finding, killing and waiting for them.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

/// Every process whose command line, program or working folder is below one of these folders, with its command line.
pub fn below(folders: &[PathBuf]) -> BTreeMap<i32, String> {
    let own = std::process::id().cast_signed();
    let is_ours = |pid: &i32| {
        let place = PathBuf::from(format!("/proc/{pid}"));
        let line = command_line(*pid).unwrap_or_default();
        let links = ["exe", "cwd"].map(|link| std::fs::read_link(place.join(link)).unwrap_or_default());
        folders.iter().any(|folder| {
            let name = folder.as_os_str().as_bytes();
            line.windows(name.len()).any(|window| window == name) || links.iter().any(|link| link.starts_with(folder))
        })
    };
    all().into_iter().filter(|pid| *pid != own && is_ours(pid)).map(|pid| (pid, show(pid))).collect()
}

/// All process ids.
pub fn all() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The arguments of a process, each terminated by a zero byte. `None` if it has ended.
pub fn command_line(pid: i32) -> Option<Vec<u8>> {
    fs_err::read(format!("/proc/{pid}/cmdline")).ok().filter(|line| !line.is_empty())
}

/// Whether it runs and is not a zombie.
pub fn is_alive(pid: i32) -> bool {
    command_line(pid).is_some()
}

/// Sends SIGKILL.
pub fn kill(pid: i32) {
    if let Some(process) = Pid::from_raw(pid) {
        // It may have just ended.
        kill_process(process, Signal::KILL).ok();
    }
}

/// The postmaster's process id, from the first line of PostgreSQL's `postmaster.pid`.
pub fn postmaster(data: &Path) -> i32 {
    let text = fs_err::read_to_string(data.join("postmaster.pid")).unwrap();
    text.lines().next().unwrap().trim().parse().unwrap()
}

fn show(pid: i32) -> String {
    String::from_utf8_lossy(&command_line(pid).unwrap_or_default()).replace('\0', " ")
}
