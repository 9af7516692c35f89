//! npm: builds the web UI.

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};

use super::cmd::Cmd;
use crate::fs::read_text;
use crate::hash::sha256_file;

/// Installs the packages of `package-lock.json` if they have changed, runs the script `build`, and returns its folder `dist`.
/// The scripts do not inherit the variables `hidden`.
pub async fn build(folder: &Utf8Path, hidden: &[String], mut on_line: impl FnMut(&str)) -> Result<Utf8PathBuf> {
    let lock = folder.join("package-lock.json");
    let installed = folder.join("node_modules/.installed-lock");
    if lock.exists() {
        let wanted = sha256_file(&lock)?;
        let current = read_text(&installed).unwrap_or_default();
        if current != wanted {
            npm(folder, hidden, &["ci", "--no-audit", "--no-fund"])
                .run_lines(&mut on_line)
                .await
                .context("install the web UI's packages")?;
            fs_err::create_dir_all(folder.join("node_modules"))?;
            fs_err::write(&installed, wanted)?;
        }
    }
    npm(folder, hidden, &["run", "build"]).run_lines(&mut on_line).await.context("build the web UI")?;
    let dist = built(folder);
    ensure!(dist.is_dir(), "`npm run build` in {folder} succeeded but created no folder dist");
    Ok(dist)
}

/// The folder that the script `build` writes.
pub fn built(folder: &Utf8Path) -> Utf8PathBuf {
    folder.join("dist")
}

fn npm(folder: &Utf8Path, hidden: &[String], args: &[&str]) -> Cmd {
    Cmd::new("npm").args(args.iter().copied()).dir(folder).without_env(hidden.iter().cloned()).env("CI", "true")
}
