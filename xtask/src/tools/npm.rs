//! npm: builds the web UI.

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use tokio::sync::OnceCell;

use super::cmd::Cmd;
use crate::fs::{found, read_text};
use crate::hash::sha256_file;

/// The version of Node.js, without its `v`. It is asked once for each run of the toolkit.
pub async fn node_version() -> Result<String> {
    static VERSION: OnceCell<String> = OnceCell::const_new();
    let asked = async || {
        // Outside of the project: version managers run what files of the current folder name.
        let said = Cmd::new("node").dir("/").arg("--version").capture().await?;
        Ok(said.trim().trim_start_matches('v').to_owned())
    };
    VERSION.get_or_try_init(asked).await.cloned()
}

/// Installs the packages and runs the script `build`; returns the folder that it writes. The scripts do not inherit the variables
/// `hidden`.
pub async fn build(folder: &Utf8Path, hidden: &[String], mut on_line: impl FnMut(&str)) -> Result<Utf8PathBuf> {
    install(folder, hidden, &mut on_line).await?;
    run_build(folder, hidden, &mut on_line).await
}

/// Installs the packages of `package-lock.json`, unless that was done since it changed.
pub async fn install(folder: &Utf8Path, hidden: &[String], on_line: impl FnMut(&str)) -> Result<()> {
    let lock = folder.join("package-lock.json");
    if !lock.exists() {
        return Ok(());
    }
    let (wanted, installed) = (sha256_file(&lock)?, folder.join("node_modules/.installed-lock"));
    if read_text(&installed).unwrap_or_default() == wanted {
        return Ok(());
    }
    // What is interrupted must not look finished.
    found(fs_err::remove_file(&installed))?;
    let ci = npm(folder, hidden, &["ci", "--no-audit", "--no-fund"]);
    ci.run_lines(on_line).await.context("install the web UI's packages")?;
    fs_err::create_dir_all(folder.join("node_modules"))?;
    Ok(fs_err::write(&installed, wanted)?)
}

/// Runs the script `build`, and returns the folder that it writes.
pub async fn run_build(folder: &Utf8Path, hidden: &[String], on_line: impl FnMut(&str)) -> Result<Utf8PathBuf> {
    npm(folder, hidden, &["run", "build"]).run_lines(on_line).await.context("build the web UI")?;
    let dist = built(folder);
    ensure!(dist.is_dir(), "`npm run build` in {folder} succeeded but created no folder dist");
    Ok(dist)
}

/// The script `dev`, which serves the web UI and reloads it by itself. It gets the service's address in `SERVICE_URL`.
pub fn dev(folder: &Utf8Path, hidden: &[String], service: &str) -> Cmd {
    npm(folder, hidden, &["run", "dev"]).env("SERVICE_URL", service)
}

/// The folder that the script `build` writes.
pub fn built(folder: &Utf8Path) -> Utf8PathBuf {
    folder.join("dist")
}

fn npm(folder: &Utf8Path, hidden: &[String], args: &[&str]) -> Cmd {
    let npm = Cmd::new("npm").args(args.iter().copied()).dir(folder).without_env(hidden.iter().cloned());
    // With `CI` alone, some programs colour what they write into a pipe.
    npm.env("CI", "true").env("NO_COLOR", "1")
}
