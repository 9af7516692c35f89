//! The differences between Linux and macOS.

use anyhow::{Result, bail};
use rustix::fs::{Gid, Uid};
use rustix::process::{Pid, getppid};

/// On Linux, asks the kernel to send SIGTERM when the parent ends. Elsewhere the next supervisor stops the process: see
/// `leftovers`. Fails if `parent` has ended already.
pub(super) fn end_with_parent(parent: u32) -> Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
    // Checked after the request: the parent may have ended before it.
    let actual = getppid().map_or(0, Pid::as_raw_pid);
    if actual.cast_unsigned() != parent {
        bail!("the supervisor {parent} ended before this process could start");
    }
    Ok(())
}

/// Makes this process, which has one thread, a user's with this group alone. It cannot go back.
#[cfg(target_os = "linux")]
pub(super) fn set_user(uid: Uid, gid: Gid) -> Result<()> {
    use rustix::thread::{set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
    // A set-user-id program would be a way back.
    set_no_new_privs(true)?;
    set_thread_groups(&[])?;
    set_thread_res_gid(gid, gid, gid)?;
    Ok(set_thread_res_uid(uid, uid, uid)?)
}

/// Fails: the deploy asks for it on Linux only.
#[cfg(not(target_os = "linux"))]
pub(super) fn set_user(_: Uid, _: Gid) -> Result<()> {
    bail!("the service runs as another user on Linux only")
}

/// Distinguishes a process from later ones with the same number, by its start time. None if it has ended.
#[cfg(target_os = "linux")]
pub fn identity(pid: u32) -> Option<String> {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the program's name in parentheses, may itself hold spaces and parentheses.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    // Field 22, in clock ticks since the machine's start; the state is field 3.
    let started = fields.nth(18)?;
    let boot = fs_err::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    // A zombie has ended; only its status was not read yet.
    (!matches!(state, "Z" | "X")).then(|| format!("{} {started}", boot.trim()))
}

/// Distinguishes a process from later ones with the same number, by its start time. None if it has ended.
#[cfg(not(target_os = "linux"))]
pub fn identity(pid: u32) -> Option<String> {
    let output = std::process::Command::new("/bin/ps")
        .args(["-o", "state=", "-o", "lstart=", "-p", &pid.to_string()])
        .env("LC_ALL", "C")
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (state, started) = text.trim().split_once(' ')?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_process_keeps_its_identity_and_an_ended_one_has_none() {
        let own = identity(std::process::id());
        assert!(own.is_some());
        assert_eq!(own, identity(std::process::id()));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert_eq!(identity(child.id()), None);
    }
}
