//! This machine: its user, and whether a process seen earlier still runs, or is stopped.

use std::sync::OnceLock;

use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

use super::cmd::Inherited;
use super::platform::variable;

/// A process, distinguished from later ones with the same number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The machine and its boot; differs between containers of one machine.
    pub machine: String,
    /// Its number.
    pub pid: i32,
    /// When it started, in the machine's clock ticks; 0 if the system does not tell.
    pub started: u64,
}

impl Process {
    /// This process.
    pub fn this() -> Self {
        Self::of(rustix::process::getpid().as_raw_nonzero().get())
    }

    /// The process of this machine that has this number now.
    pub fn of(pid: i32) -> Self {
        Self { machine: machine(), pid, started: start_ticks(pid).unwrap_or_default() }
    }

    /// Whether the process has certainly ended. Never true for one on another machine.
    pub fn is_known_dead(&self) -> bool {
        if self.machine != machine() {
            return false;
        }
        let Some(pid) = Pid::from_raw(self.pid) else { return true };
        match test_kill_process(pid) {
            Err(rustix::io::Errno::SRCH) => true,
            _ => start_ticks(self.pid).is_some_and(|started| started != self.started),
        }
    }

    /// Whether the process is stopped, as by Ctrl-Z or a debugger, and can go on. Never true for one on another machine.
    pub fn is_known_stopped(&self) -> bool {
        self.machine == machine()
            && start_ticks(self.pid) == Some(self.started)
            && stat_field(self.pid, 3).is_some_and(|state| matches!(state.as_str(), "T" | "t"))
    }
}

/// `user@machine`, for people.
pub fn who() -> &'static str {
    static WHO: OnceLock<String> = OnceLock::new();
    WHO.get_or_init(find_who)
}

fn find_who() -> String {
    let user = variable("USER").or_else(|| variable("LOGNAME"));
    let user =
        user.or_else(|| user_name().ok()).unwrap_or_else(|| format!("uid-{}", rustix::process::getuid().as_raw()));
    format!("{user}@{}", host_name())
}

/// Containers and CI machines often set no variable for it.
fn user_name() -> anyhow::Result<String> {
    let output =
        std::process::Command::new("id").arg("-un").env_clear().envs(Inherited::of("id").variables()).output()?;
    anyhow::ensure!(output.status.success(), "`id -un` failed");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn machine() -> String {
    // Absent on macOS, where the host's name must do.
    let boot = fs_err::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs_err::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{} {} {}", host_name(), boot.trim(), namespace.display()).trim_end().to_owned()
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn start_ticks(pid: i32) -> Option<u64> {
    stat_field(pid, 22)?.parse().ok()
}

/// A field of `/proc/<pid>/stat` (proc(5)), from 3 on. The second field may have spaces, so counting starts after it.
fn stat_field(pid: i32, number: usize) -> Option<String> {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.split_whitespace().nth(number - 3)?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_dead_when_it_ended_or_another_has_its_number() {
        let this = Process::this();
        assert!(!this.is_known_dead());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id().cast_signed();
        child.wait().unwrap();
        assert!(Process { pid, ..this.clone() }.is_known_dead());
        assert!(!Process { machine: "elsewhere".to_owned(), pid, started: 1 }.is_known_dead());
        if cfg!(target_os = "linux") {
            assert!(Process { started: this.started + 1, ..this }.is_known_dead());
        }
    }
}
