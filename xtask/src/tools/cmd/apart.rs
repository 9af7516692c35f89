//! A program of a less privileged user, apart from the terminal of the user who types.

use tokio::process::Command;

/// Starts it as the leader of a session without a terminal: a process that has root's terminal can open it as `/dev/tty`, read what
/// is typed there, and type commands into root's shell (TIOCSTI). Nor can it gain privileges by a set-user-id program.
#[allow(unsafe_code, reason = "std and tokio have no safe way to start a process in a session of its own")]
pub(super) fn run_apart(command: &mut Command) {
    // SAFETY: between fork and exec the closure makes two system calls, and neither allocates memory nor takes locks.
    unsafe {
        command.pre_exec(|| {
            rustix::process::setsid()?;
            #[cfg(target_os = "linux")]
            rustix::thread::set_no_new_privs(true)?;
            Ok(())
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::tools::cmd::Cmd;
    use crate::tools::platform::is_root;

    #[tokio::test]
    async fn a_program_of_another_user_leads_a_session_of_its_own_and_gains_no_privileges() {
        if !is_root() || !cfg!(target_os = "linux") {
            return;
        }
        let of_user =
            |program: &str, args: &[&str]| Cmd::new(program).args(args.iter().copied()).dir("/").user(60_500, 60_500);
        let stat = of_user("cat", &["/proc/self/stat"]).capture().await.unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let process = stat.split(' ').next().unwrap();
        // Process group, session and terminal.
        assert_eq!(fields[2..5], [process, process, "0"], "{stat}");
        let status = of_user("cat", &["/proc/self/status"]).capture().await.unwrap();
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    }
}
