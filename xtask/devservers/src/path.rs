//! Programs of this machine.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

/// The program of this name in a folder of `PATH`.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // A service manager's PATH has no sbin, where Debian installs some servers.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The same for a program that `what` needs; `install` says how a person gets it.
pub fn need(what: &str, name: &str, install: &str) -> Result<PathBuf> {
    find(name).with_context(|| format!("{what} needs the program {name}, which is not installed: {install}"))
}

/// Fails unless this process is root; `why` says what takes it.
pub fn need_root(what: &str, why: &str) -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "{what} needs root: {why}");
    Ok(())
}
