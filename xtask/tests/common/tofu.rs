//! A real `tofu` for tests: the machine's, or the one that `cargo xtask setup` has installed.

use std::path::PathBuf;

/// As the toolkit installs it.
const VERSION: &str = include_str!("../../src/tool/tofu/version").trim_ascii();

/// The program. Fails with what this machine lacks.
pub fn program() -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = super::go::cache()?.join(format!("tofu-{VERSION}"));
    let mut folders = std::env::split_paths(&path).chain([installed]);
    let found = folders.find_map(|folder| Some(folder.join("tofu")).filter(|file| file.is_file()));
    found.ok_or_else(|| "takes OpenTofu: cargo xtask setup --tests".to_owned())
}
