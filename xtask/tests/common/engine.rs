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
        Ok(Self { server: launch(folder.path(), disk)?, folder })
    }

    /// Starts it again after [`OwnEngine::kill`], with what it had on its disk.
    #[allow(dead_code, reason = "the unit tests need none that comes back")]
    pub fn restart(&mut self) {
        self.server = launch(self.folder.path(), None).unwrap();
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

fn launch(folder: &std::path::Path, disk: Option<u32>) -> Result<Server, String> {
    let mount = disk.map(|size| format!("mkdir $0/data && mount -t tmpfs -o size={size}m tmpfs $0/data && "));
    // What a killed one has left would be taken for one that runs.
    let script = format!(
        "{}rm -rf $0/pid $0/exec && busybox ip link set lo up && exec dockerd --data-root $0/data --exec-root $0/exec --pidfile $0/pid \
         --host unix://$0/d.sock --iptables=false --ip-forward=false",
        mount.unwrap_or_default()
    );
    let mut command = alone("sh", &["--net"]);
    command.args(["-c", &script]).arg(folder);
    Ok(Server::start(&mut command, |line| line.contains("API listen on").then_some(()))?.0)
}
