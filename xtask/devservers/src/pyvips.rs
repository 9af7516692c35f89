//! libvips, the reference for small pictures, in its Python package.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::pip;

/// Its packages, by version and hash.
const PACKAGES: &str = include_str!("../pyvips.txt");

/// Installs the packages if this machine does not have them yet: their folder, for `PYTHONPATH`.
pub fn install() -> Result<PathBuf> {
    pip::install_locked("pyvips", PACKAGES)
}

/// Python with pyvips, to run this program.
pub fn python(program: &str) -> Result<Command> {
    let mut command = Command::new(pip::python()?);
    command.args(["-c", program]).env("PYTHONPATH", install()?);
    Ok(command)
}
