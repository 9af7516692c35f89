//! A `buildkitd` for tests. Debian has none.

use super::child::{Server, alone};
use super::go;

/// Later versions do not build from modules alone.
const PROGRAM: go::Program = go::Program {
    name: "buildkitd",
    module: "github.com/moby/buildkit",
    version: "v0.23.2",
    package: "github.com/moby/buildkit/cmd/buildkitd",
    flags: "-X github.com/moby/buildkit/version.Version=v0.23.2",
};

/// A daemon with a state of its own. Takes root, Go (only the first time) and runc.
pub struct Buildkitd {
    _server: Server,
    folder: tempfile::TempDir,
}

impl Buildkitd {
    /// Starts one. Fails with what this machine lacks.
    pub fn start() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("takes root: buildkitd mounts".to_owned());
        }
        let program = go::program(&PROGRAM)?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut command = alone(program, &[]);
        command.arg("--addr").arg(format!("unix://{}", folder.path().join("b.sock").display()));
        command.arg("--root").arg(folder.path().join("root"));
        // No network of its own, which would take programs that are not there, and no containerd to look for.
        command.args(["--oci-worker-net=host", "--containerd-worker=false"]);
        let (server, ()) = Server::start(&mut command, |line| line.contains("running server on").then_some(()))?;
        Ok(Self { _server: server, folder })
    }

    /// As `BUILDKIT_HOST` says it.
    pub fn address(&self) -> String {
        format!("unix://{}", self.folder.path().join("b.sock").display())
    }
}
