//! A Docker engine of a test's own, for what nobody may do to the machine's.
//!
//! It lives in a network namespace of its own: in the machine's, a second engine takes away the first one's bridge, with
//! `--bridge=none` too. Its socket is a file and so is reached from outside.

use super::child::{Server, alone};

/// An engine with a state of its own. Takes root and `dockerd`.
pub struct OwnEngine {
    server: Server,
    folder: tempfile::TempDir,
}

impl OwnEngine {
    /// Starts one. Its disk is so many megabytes of memory, if that is said. Fails with what this machine lacks.
    pub fn start(disk: Option<u32>) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("takes root: it starts a Docker engine".to_owned());
        }
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mount = disk.map(|size| format!("mkdir $0/data && mount -t tmpfs -o size={size}m tmpfs $0/data && "));
        let script = format!(
            "ip link set lo up; {}exec dockerd --data-root $0/data --exec-root $0/exec --pidfile $0/pid --host unix://$0/d.sock \
             --iptables=false --ip-forward=false",
            mount.unwrap_or_default()
        );
        let mut command = alone("sh", &["--net"]);
        command.args(["-c", &script]).arg(folder.path());
        let (server, ()) = Server::start(&mut command, |line| line.contains("API listen on").then_some(()))?;
        Ok(Self { server, folder })
    }

    /// As `DOCKER_HOST` says it.
    pub fn address(&self) -> String {
        format!("unix://{}", self.folder.path().join("d.sock").display())
    }

    /// The process whose network it has.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Ends it as a machine that loses its power would.
    pub fn kill(&mut self) {
        self.server.kill();
    }
}
