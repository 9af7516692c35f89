//! Processes of this machine.

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// A process of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    pub command: String,
}

/// Every process whose program, arguments or working folder are below this folder; zombies are left out. On other systems than Linux there is none.
pub fn processes_below(folder: &Path) -> Vec<Process> {
    let folder = folder.to_str().unwrap();
    let Ok(entries) = fs_err::read_dir("/proc") else { return Vec::new() };
    let look = |pid: u32| {
        let about = format!("/proc/{pid}");
        let command = String::from_utf8_lossy(&fs_err::read(format!("{about}/cmdline")).ok()?).replace('\0', " ");
        let link = |name: &str| fs_err::read_link(format!("{about}/{name}")).unwrap_or_default();
        let is_below = link("exe").starts_with(folder) || link("cwd").starts_with(folder) || command.contains(folder);
        (is_below && pid != std::process::id()).then_some(Process { pid, command })
    };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(look).collect()
}

/// The command lines of all processes, which every user of this machine can read.
pub fn all_command_lines() -> String {
    let Ok(entries) = fs_err::read_dir("/proc") else { return String::new() };
    let read = |entry: fs_err::DirEntry| fs_err::read(entry.path().join("cmdline")).ok();
    let lines = entries.filter_map(|entry| read(entry.ok()?));
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ") + "\n").collect()
}

/// Whether a process of this number runs and is no zombie.
pub fn lives(pid: u32) -> bool {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, fields)| !fields.starts_with(['Z', 'X']))
}

/// Sends a signal to a process; nothing happens if it has ended.
pub fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).ok();
}

/// Sends a signal to a process group, as a terminal does.
pub fn signal_group(pid: u32, signal: Signal) {
    kill_process_group(Pid::from_raw(pid.cast_signed()).unwrap(), signal).ok();
}

/// Whether this process is root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
