//! `buildkitd`, which builds images without a Docker engine.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::go::Program;
use crate::path;
use crate::server::{Ready, Server};

/// Later versions do not build from Go modules alone.
const PROGRAM: Program = Program {
    name: "buildkitd",
    module: "github.com/moby/buildkit",
    version: "v0.23.2",
    sum: "h1:gt/dkfcpgTXKx+B9I310kV767hhVqTvEyxGgI3mqsGQ=",
    package: "./cmd/buildkitd",
    flags: "-X github.com/moby/buildkit/version.Version=v0.23.2",
};

/// A daemon with a state of its own. It ends, and its state goes, when this value is dropped.
pub struct Buildkitd {
    _server: Server,
    folder: tempfile::TempDir,
}

/// Builds the program if this machine does not have it yet: its path.
pub fn install() -> Result<PathBuf> {
    PROGRAM.build()
}

impl Buildkitd {
    /// Starts one. Needs root, runc, and the first time Go.
    pub fn start() -> Result<Self> {
        path::need_root("buildkitd", "it mounts file systems")?;
        path::need("buildkitd", "runc", "apt-get install runc")?;
        let folder = tempfile::tempdir().context("make a folder for buildkitd")?;
        let mut command = crate::engine::isolated(&[])?;
        command.arg(install()?);
        command.arg("--addr").arg(address(&folder)).arg("--root").arg(folder.path().join("root"));
        // A network of its own would take more programs; containerd is not looked for.
        command.args(["--oci-worker-net=host", "--containerd-worker=false"]);
        let up = |line: &str| line.contains("running server on").then(String::new);
        Ok(Self { _server: Server::start(command, Ready::Line(up))?, folder })
    }

    /// Its address, as `BUILDKIT_HOST` has it.
    pub fn address(&self) -> String {
        address(&self.folder)
    }
}

fn address(folder: &tempfile::TempDir) -> String {
    format!("unix://{}", folder.path().join("b.sock").display())
}
