//! Processes of this machine: whose they are, killing them, waiting for what they do.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

/// Every process whose command line, program or folder is below one of these folders, with its command line.
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

/// The numbers of all processes.
pub fn all() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The arguments of a process, each with a closing zero. None of one that has ended.
pub fn command_line(pid: i32) -> Option<Vec<u8>> {
    fs_err::read(format!("/proc/{pid}/cmdline")).ok().filter(|line| !line.is_empty())
}

/// Whether it runs, not as a zombie.
pub fn is_alive(pid: i32) -> bool {
    command_line(pid).is_some()
}

/// SIGKILL.
pub fn kill(pid: i32) {
    if let Some(process) = Pid::from_raw(pid) {
        // One that has just ended is what was wanted.
        kill_process(process, Signal::KILL).ok();
    }
}

/// The first line of PostgreSQL's file: its postmaster's number.
pub fn postmaster(data: &Path) -> i32 {
    let text = fs_err::read_to_string(data.join("postmaster.pid")).unwrap();
    text.lines().next().unwrap().trim().parse().unwrap()
}

fn show(pid: i32) -> String {
    String::from_utf8_lossy(&command_line(pid).unwrap_or_default()).replace('\0', " ")
}
