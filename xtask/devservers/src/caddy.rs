//! Caddy, the proxy of a Docker host, and programs of this machine in images.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::path;

/// Its program, to be put into an image.
pub fn program() -> Result<PathBuf> {
    path::need("the proxy of a Docker host", "caddy", "apt-get install caddy")
}

/// Puts an image with it into this machine's engine: its id, another one each time.
pub fn image() -> Result<String> {
    let (caddy, docker) = (program()?, path::need("an image of Caddy", "docker", "apt-get install docker.io")?);
    let busybox = path::need("an image of Caddy", "busybox", "apt-get install busybox-static")?;
    let folder = tempfile::tempdir().context("make a folder for an image of Caddy")?;
    let root = folder.path().join("root");
    let bin = root.join("bin");
    with_libraries(&caddy, &bin, "caddy")?;
    // Caddy's own image has these.
    for name in ["touch", "rm", "wget"] {
        fs_err::copy(&busybox, bin.join(name))?;
    }
    // The libraries are where the program looks for them.
    for entry in fs_err::read_dir(&bin)? {
        let path = entry?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_dir()) {
            fs_err::rename(&path, root.join(name))?;
        }
    }
    let tar = folder.path().join("root.tar");
    said(Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&tar).arg("."))?;
    said(Command::new(docker).args(["import", "--change", "ENV PATH=/bin"]).arg(&tar))
}

/// Copies a program into a folder, and below it the libraries that it loads.
pub fn with_libraries(program: &Path, root: &Path, name: &str) -> Result<()> {
    fs_err::create_dir_all(root)?;
    fs_err::copy(program, root.join(name))?;
    let loads = Command::new("ldd").arg(program).output().context("run ldd")?;
    // One that is linked statically loads none, and ldd fails.
    for library in String::from_utf8_lossy(&loads.stdout).split_whitespace().filter(|word| word.starts_with('/')) {
        let to = root.join(library.trim_start_matches('/'));
        fs_err::create_dir_all(to.parent().unwrap_or(root))?;
        fs_err::copy(library, to)?;
    }
    Ok(())
}

fn said(command: &mut Command) -> Result<String> {
    let ran = command.output().with_context(|| format!("run {}", command.get_program().display()))?;
    let (said, error) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    ensure!(ran.status.success(), "{} ended with {}: {error}", command.get_program().display(), ran.status);
    Ok(said.trim().to_owned())
}
