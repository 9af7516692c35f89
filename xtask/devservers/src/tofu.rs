//! The OpenTofu program: this machine's, or the one that `cargo xtask setup --tests` has installed.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::{cache, path};

/// The version that the toolkit installs.
const VERSION: &str = include_str!("../../src/tools/tofu/version").trim_ascii();

/// The program's path. Fails if neither `PATH` nor the toolkit's cache has it.
pub fn program() -> Result<PathBuf> {
    let installed = installed()?;
    path::find("tofu").or_else(|| installed.is_file().then(|| installed.clone())).with_context(|| {
        format!("OpenTofu is neither in PATH nor at {}: cargo xtask setup --tests", installed.display())
    })
}

/// The path at which `cargo xtask setup --tests` installs it.
pub fn installed() -> Result<PathBuf> {
    Ok(cache::folder()?.join(format!("tofu-{VERSION}")).join("tofu"))
}
