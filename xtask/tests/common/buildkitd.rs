//! A `buildkitd` for tests. Debian has none, so it is built from its Go module, once for this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::child::{Server, alone};

/// Later versions do not build from modules alone.
const VERSION: &str = "v0.23.2";

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
        let program = program()?;
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

/// The program, built if it is not there yet: two minutes.
fn program() -> Result<PathBuf, String> {
    let cache = Path::new("/var/cache/xtask");
    let program = cache.join(format!("buildkitd-{VERSION}"));
    fs_err::create_dir_all(cache).map_err(|error| error.to_string())?;
    // Tests run side by side, and one of them builds.
    let lock = fs_err::File::create(cache.join("buildkitd.lock")).map_err(|error| error.to_string())?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).map_err(|error| error.to_string())?;
    if program.exists() {
        return Ok(program);
    }
    let module = tempfile::tempdir_in(cache).map_err(|error| error.to_string())?;
    let text = format!(
        "module tools\n\ngo 1.23.0\n\nrequire github.com/moby/buildkit {VERSION}\n\n\
         tool github.com/moby/buildkit/cmd/buildkitd\n"
    );
    fs_err::write(module.path().join("go.mod"), text).map_err(|error| error.to_string())?;
    let flags = format!("-s -w -X github.com/moby/buildkit/version.Version={VERSION}");
    go(module.path(), &["mod", "tidy"])?;
    go(
        module.path(),
        &["build", "-mod=mod", "-trimpath", "-ldflags", &flags, "-o", "it", "github.com/moby/buildkit/cmd/buildkitd"],
    )?;
    fs_err::rename(module.path().join("it"), &program).map_err(|error| error.to_string())?;
    Ok(program)
}

fn go(folder: &Path, args: &[&str]) -> Result<(), String> {
    let output = Command::new("go").args(args).env("CGO_ENABLED", "0").current_dir(folder).output();
    let output = output.map_err(|error| format!("takes buildkitd, which is built with Go: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("go {args:?} does not build buildkitd: {said}")) }
}
