//! A service of another framework, which is no dependency of the toolkit.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use camino::Utf8PathBuf;

/// Compiles it, once for this machine: its program.
pub fn build() -> Result<Utf8PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stock");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked"]).env("CARGO_TARGET_DIR", &target);
    let output = cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stock")).output()?;
    ensure!(output.status.success(), "compile tests/stock: {}", String::from_utf8_lossy(&output.stderr));
    Utf8PathBuf::try_from(target.join("debug/stock")).context("its path is UTF-8")
}
