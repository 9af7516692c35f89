//! schemathesis: makes requests of the description of an HTTP API by OpenAPI, and compares the answers with it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::pip;

/// Its packages, by version and hash.
const PACKAGES: &str = include_str!("../schemathesis.txt");

/// Installs its Python packages if this machine does not have them yet: their folder, for `PYTHONPATH`. They take Python 3.11.
pub fn install() -> Result<PathBuf> {
    pip::install_locked("schemathesis", PACKAGES)
}

/// A Python that has its packages.
pub fn python() -> Result<Command> {
    let mut command = Command::new(pip::python()?);
    command.env("PYTHONPATH", install()?).env("PYTHONUNBUFFERED", "1");
    Ok(command)
}

/// Its program.
pub fn program() -> Result<Command> {
    let mut command = python()?;
    command.args(["-c", "from schemathesis.cli import schemathesis; schemathesis()"]);
    Ok(command)
}
