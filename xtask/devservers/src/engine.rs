//! Docker engines: one of a test's own, and this machine's.
//!
//! A test's own runs in a network namespace: in the machine's, a second engine takes away the first one's bridge, even
//! with `--bridge=none`. Its socket is a file, so it is reached from outside.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::path;
use crate::server::{Ready, Server};

const INSTALL: &str = "apt-get install docker.io, or: cargo xtask setup --docker";

/// The socket of this machine's engine.
const SOCKET: &str = "/var/run/docker.sock";

/// An engine with a state of its own. It ends, and its state goes, when this value is dropped.
pub struct OwnEngine {
    server: Server,
    folder: tempfile::TempDir,
}

impl OwnEngine {
    /// Starts one. With `disk`, its data is on a file system in memory of so many megabytes, which is empty after each
    /// start. Needs root, `dockerd` and busybox.
    pub fn start(disk: Option<u32>) -> Result<Self> {
        path::need_root("a Docker engine", "it mounts file systems")?;
        path::need("a Docker engine", "dockerd", INSTALL)?;
        path::need("a Docker engine", "busybox", "apt-get install busybox-static")?;
        let folder = tempfile::tempdir().context("make a folder for a Docker engine")?;
        let mount = disk.map(|size| format!("mkdir -p $0/data && mount -t tmpfs -o size={size}m tmpfs $0/data && "));
        // A new engine would take what a killed one left in `pid` and `exec` for one that runs.
        let script = format!(
            "{}rm -rf $0/pid $0/exec && busybox ip link set lo up && exec dockerd --data-root $0/data --exec-root $0/exec \
             --pidfile $0/pid --host unix://$0/d.sock --iptables=false --ip-forward=false",
            mount.unwrap_or_default()
        );
        let mut command = isolated(&["--net"])?;
        command.args(["sh", "-c", &script]).arg(folder.path());
        let up = |line: &str| line.contains("API listen on").then(String::new);
        Ok(Self { server: Server::start(command, Ready::Line(up))?, folder })
    }

    /// Starts it again after [`OwnEngine::kill`], with the data that it had.
    pub fn restart(&mut self) {
        self.server.restart().unwrap();
    }

    /// Kills it and everything that runs in it.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Its address, as `DOCKER_HOST` has it.
    pub fn address(&self) -> String {
        format!("unix://{}", self.folder.path().join("d.sock").display())
    }

    /// A process in its network namespace.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }
}

/// This machine's engine, started because none answered. It is asked to end when this value is dropped.
pub struct MachineEngine(Server);

impl MachineEngine {
    /// Starts it as a machine without a service manager needs it, with its images in the folder `data` if there is one, and
    /// otherwise where they were the last time. `None` if an engine answers already, and if this machine
    /// cannot run one: without root or without `dockerd`, tests that need it skip themselves and say so.
    pub fn start_if_none(data: Option<&Path>) -> Result<Option<Self>> {
        let answers = std::os::unix::net::UnixStream::connect(SOCKET).is_ok();
        if answers || !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let Some(program) = path::find("dockerd") else { return Ok(None) };
        let mut command = Command::new(program);
        if let Some(data) = data {
            command.arg("--data-root").arg(data);
        }
        // In a process group of its own: Ctrl-C at a terminal ends the tests first.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        Ok(Some(Self(Server::start(command, Ready::Socket(Path::new(SOCKET).to_owned()))?)))
    }
}

impl Drop for MachineEngine {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// The beginning of a command line that runs a program with process numbers and mounts of its own, all of which end with
/// it; `more` are further flags of `unshare`.
pub(crate) fn isolated(more: &[&str]) -> Result<Command> {
    let mut command = Command::new(path::need("an isolated process", "unshare", "apt-get install util-linux")?);
    command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]).args(more);
    Ok(command)
}
