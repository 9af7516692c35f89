//! Packages of npm, each in a folder of the cache.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{cache, path};

/// A folder whose `node_modules` has the package. npm fetches it if this machine does not have it yet, and runs no scripts of packages.
pub fn install(name: &str, version: &str) -> Result<PathBuf> {
    let npm = path::need(name, "npm", "apt-get install nodejs npm")?;
    cache::once(&format!("{name}-{version}"), |folder| {
        let package = format!("{name}@{version}");
        let flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"];
        let output = Command::new(npm).arg("install").args(flags).arg("--prefix").arg(folder).arg(&package).output();
        let output = output.context("run npm")?;
        ensure!(output.status.success(), "install {package}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(folder.to_owned())
    })
}
