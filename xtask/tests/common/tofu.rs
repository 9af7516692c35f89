//! A real `tofu` for tests: the machine's, or the one that `cargo xtask setup` has installed.

use std::path::PathBuf;

/// As the toolkit installs it.
const VERSION: &str = include_str!("../../src/tool/tofu/version").trim_ascii();

/// The program. Fails with what this machine lacks.
pub fn program() -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut files = std::env::split_paths(&path).map(|folder| folder.join("tofu")).chain([installed()?]);
    files.find(|file| file.is_file()).ok_or_else(|| "takes OpenTofu: cargo xtask setup --tests".to_owned())
}

/// Where `setup` puts it.
pub fn installed() -> Result<PathBuf, String> {
    Ok(super::go::cache()?.join(format!("tofu-{VERSION}")).join("tofu"))
}
