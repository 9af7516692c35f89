//! tus-js-client, the client for uploads in parts that browsers run, for Node.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{cache, path};

const VERSION: &str = "4.3.1";

/// A folder from which Node finds it. npm fetches it if this machine does not have it yet, and runs no scripts of packages.
pub fn install() -> Result<PathBuf> {
    let npm = path::need("tus-js-client", "npm", "apt-get install nodejs npm")?;
    cache::once(&format!("tus-js-client-{VERSION}"), |folder| {
        let package = format!("tus-js-client@{VERSION}");
        let flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"];
        let output = Command::new(npm).arg("install").args(flags).arg("--prefix").arg(folder).arg(&package).output();
        let output = output.context("run npm")?;
        ensure!(output.status.success(), "install {package}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(folder.to_owned())
    })
}
