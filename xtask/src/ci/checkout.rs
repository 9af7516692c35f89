//! What a job has at GitHub before its first step that runs the toolkit: the commit in a folder of its own, without the user's files,
//! `cargo` and the installed program.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::symlink;
use tempfile::TempDir;

use crate::fs::temporary_folder;
use crate::release::tag::tag;
use crate::tools::cmd::Cmd;
use crate::tools::{cargo, git};
use crate::typed::INSTALLED;

/// A clone of the last commit, with the remote of the project. It is removed with this value.
pub struct Checkout {
    /// The project's root in it.
    pub root: Utf8PathBuf,
    /// The whole commit.
    pub commit: String,
    /// The tag that its release has.
    pub tag: String,
    /// The folder with the programs `cargo`, whose `cargo xtask` is this toolkit, and `cutover`, which it is, too.
    pub programs: Utf8PathBuf,
    /// An empty folder for this user alone, in the place of the home folder.
    pub home: Utf8PathBuf,
    /// A folder for a step's files.
    pub files: Utf8PathBuf,
    _folder: TempDir,
}

impl Checkout {
    /// Clones the repository that the project is in.
    pub async fn make(root: &Utf8Path) -> Result<Self> {
        let ask = async |args: &[&str]| Cmd::new("git").args(args.iter().copied()).dir(root).capture().await;
        let repository = ask(&["rev-parse", "--show-toplevel"]).await.context("find the repository")?;
        let prefix = ask(&["rev-parse", "--show-prefix"]).await?;
        let commit = ask(&["rev-parse", "HEAD"]).await.context("find the last commit")?;
        let parent =
            Utf8PathBuf::try_from(std::env::temp_dir()).context("the folder for temporary files is not UTF-8")?;
        let folder = temporary_folder("xtask-ci-", &parent)?;
        let place =
            Utf8Path::from_path(folder.path()).context("the folder for temporary files is not UTF-8")?.to_owned();
        let clone = place.join("project");
        let git = async |args: &[&str]| Cmd::new("git").args(args.iter().copied()).dir(&place).run().await;
        git(&["clone", "--quiet", "--no-checkout", &format!("file://{repository}"), clone.as_str()]).await?;
        git(&["-C", clone.as_str(), "checkout", "--quiet", "--detach", &commit]).await?;
        if let Some(origin) = git::origin(root).await? {
            git(&["-C", clone.as_str(), "remote", "set-url", "origin", &origin]).await?;
        }
        let [programs, home, files] = ["bin", "home", "files"].map(|name| place.join(name));
        for folder in [&programs, &home, &files] {
            fs_err::create_dir(folder)?;
        }
        let toolkit = Utf8PathBuf::try_from(std::env::current_exe().context("find this program")?)?;
        write_cargo(&programs.join("cargo"), &toolkit, real_cargo().as_deref())?;
        // By this name it knows the form that was typed.
        symlink(&toolkit, programs.join(INSTALLED))?;
        let root = clone.join(prefix.trim_end_matches('/'));
        let tag = tag(&commit, git::commit_time(&root, &commit).await?);
        Ok(Self { root, commit, tag, programs, home, files, _folder: folder })
    }
}

/// The program `cargo`: `cargo xtask` is the toolkit that runs, so nothing is compiled again for the clone.
fn write_cargo(path: &Utf8Path, toolkit: &Utf8Path, cargo: Option<&Utf8Path>) -> Result<()> {
    let quoted =
        |path: &Utf8Path| shlex::try_quote(path.as_str()).map(|text| text.into_owned()).context("quote a path");
    let other = match cargo {
        Some(cargo) => format!("exec {} \"$@\"", quoted(cargo)?),
        None => "echo 'cargo is not installed on this machine' >&2\nexit 127".to_owned(),
    };
    let toolkit = quoted(toolkit)?;
    let script = format!("#!/bin/sh\nif [ \"$1\" = xtask ]; then\n  shift\n  exec {toolkit} \"$@\"\nfi\n{other}\n");
    fs_err::write(path, script)?;
    Ok(fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o700))?)
}

/// The path of cargo, if there is one: by its name alone, the program of that name in [`Checkout::programs`] would find itself.
pub fn real_cargo() -> Option<Utf8PathBuf> {
    crate::tools::platform::find_program(&cargo::program())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_cargo_only_the_toolkit_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().join("cargo");
        write_cargo(&path, Utf8Path::new("/bin/echo"), None).unwrap();
        let run = |args: &[&str]| std::process::Command::new("sh").arg(&path).args(args).output().unwrap();
        assert_eq!(run(&["xtask", "status", "local"]).stdout, b"status local\n");
        let build = run(&["build"]);
        assert_eq!(build.status.code(), Some(127));
        assert!(String::from_utf8_lossy(&build.stderr).contains("cargo is not installed"));
    }
}
