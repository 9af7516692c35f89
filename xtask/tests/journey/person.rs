//! The user who runs the commands: root or an ordinary user, without a terminal and without standard input.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process_group};

use crate::workshop::{Workshop, nobody};

/// Limit for one command. The longest is the first deploy, which compiles everything.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// A user with an environment.
pub struct Person {
    /// The user and group to switch to. `None` if this process already runs as that user.
    pub user: Option<(u32, u32)>,
    environment: Vec<(&'static str, std::ffi::OsString)>,
}

/// The output and the exit code of a command.
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
    pub took: Duration,
}

impl Person {
    /// Root, if this process runs as root.
    pub fn root() -> Result<Self, String> {
        if !geteuid().is_root() {
            return Err("takes root".to_owned());
        }
        let cargo = Workshop::of_this_run().home().join(".cargo").into_os_string();
        Ok(Self { user: None, environment: vec![("CARGO_HOME", cargo)] })
    }

    /// An ordinary user: that of this process, or `nobody` if it runs as root.
    pub fn ordinary() -> Result<Self, String> {
        if !geteuid().is_root() {
            return Ok(Self { user: None, environment: Vec::new() });
        }
        let home = Workshop::of_this_run().home();
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", home.join("toolchain/bin").display());
        let environment = vec![
            ("CARGO_HOME", home.join(".cargo").into_os_string()),
            ("HOME", home.into_os_string()),
            ("USER", "nobody".into()),
            ("PATH", path.into()),
        ];
        Ok(Self { user: Some(nobody()), environment })
    }

    /// A program that this user starts in this folder, without the variables that cargo sets for the test.
    pub fn command(&self, program: &str, folder: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            let of_cargo = name.starts_with("CARGO") && name != "CARGO_HOME" || name.starts_with("RUST_");
            if of_cargo || ["CI", "GITHUB_ACTIONS", "LD_LIBRARY_PATH", "DATABASE_URL", "SQLX_OFFLINE"].contains(&&*name)
            {
                command.env_remove(&*name);
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value))).current_dir(folder);
        // The service is compiled a dozen times, and most of that is the last of the optimisations, and the one across the parts of a
        // crate, which a changed line begins anew.
        command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1").env("CARGO_PROFILE_RELEASE_LTO", "off");
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Runs a command to the end of its output. It does not return while a left-over process holds the output open.
    pub fn run(&self, mut command: Command) -> Said {
        let began = Instant::now();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let group = Pid::from_raw(child.id().cast_signed()).unwrap();
        let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (done, ended) = mpsc::channel();
        let err_done = done.clone();
        thread::spawn(move || {
            done.send((true, read(&mut out))).ok();
        });
        thread::spawn(move || {
            err_done.send((false, read(&mut err))).ok();
        });
        let mut said = Said { code: None, out: String::new(), err: String::new(), took: Duration::ZERO };
        for _ in 0..2 {
            match ended.recv_timeout(PATIENCE.saturating_sub(began.elapsed())) {
                Ok((true, text)) => said.out = text,
                Ok((false, text)) => said.err = text,
                Err(_) => {
                    kill_process_group(group, Signal::KILL).ok();
                    panic!("{command:?} does not end, or a left-over process holds its output");
                }
            }
        }
        said.code = child.wait().unwrap().code();
        said.took = began.elapsed();
        said
    }
}

fn read(stream: &mut impl std::io::Read) -> String {
    let mut bytes = Vec::new();
    // The output before a failure is shown too.
    stream.read_to_end(&mut bytes).ok();
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Said {
    /// Checks the exit code.
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    /// Standard output and standard error.
    pub fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    /// Checks that the output contains all of these texts.
    pub fn says(self, parts: &[&str]) -> Self {
        let all = self.all();
        for part in parts {
            assert!(all.contains(part), "{part:?} is not in:\n{all}");
        }
        self
    }
}
