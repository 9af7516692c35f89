//! The folders of the releases: `releases/<version>/{bin/<program>, web/, files/, files.json, release.json}`.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use anyhow::{Context as _, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::lchown;
use rustix::process::geteuid;

use super::shipped::{self, Shipped};
use crate::fs::{private_folder, read_file, temporary_folder};
use crate::hash::{files_below, sha256, sha256_file, sha256_folder};
use crate::release::{Published, PublishedForm};
use crate::tools::platform::{find_program, is_executable};

/// Files to publish.
pub(super) struct Files<'a> {
    /// The program, unless a command of deploy.yaml runs one.
    pub program: Option<&'a Utf8Path>,
    /// The web UI's folder.
    pub web: Option<&'a Utf8Path>,
    /// What deploy.yaml names beside the program.
    pub shipped: Option<&'a Shipped>,
}

/// Puts files into the release's folder: all of them or none.
pub(super) fn publish(releases: &Utf8Path, published: &Published, files: &Files<'_>) -> Result<()> {
    let folder = releases.join(&published.source.version);
    if has(releases, published) && read(&folder)? == *published {
        return Ok(());
    }
    private_folder(releases)?;
    let temporary = temporary_folder(".publish-", releases).with_context(|| format!("make a folder in {releases}"))?;
    let new = Utf8Path::from_path(temporary.path()).context("the temporary folder's path is not UTF-8")?;
    if let Some(shipped) = files.shipped {
        shipped.copy(new)?;
    }
    if let (Some(program), Some(own)) = (files.program, own_program(new, published)) {
        fs_err::create_dir(new.join("bin"))?;
        fs_err::copy(program, own)?;
    }
    // Before anything depends on it: what it names may not be among the files.
    command(new, published, &[])?;
    if let Some(web) = files.web {
        copy_folder(web, &self::web(new))?;
    }
    fs_err::write(
        new.join("release.json"),
        serde_json::to_vec_pretty(published).context("describe the release as JSON")?,
    )?;
    set_access(new, None)?;
    if folder.exists() {
        // The same version with other bytes, of another compiler for example. A process that runs from the old folder keeps
        // its files until it ends.
        let old = temporary_folder(".replaced-", releases).context("make a folder")?;
        fs_err::rename(&folder, old.path().join("old"))?;
    }
    fs_err::rename(new, &folder)?;
    // Renamed away, so there is nothing left to remove.
    drop(temporary.keep());
    Ok(())
}

/// Whether the release's folder is there with the bytes that its digest names.
pub(super) fn has(releases: &Utf8Path, published: &Published) -> bool {
    let folder = releases.join(&published.source.version);
    let (program, web) = (own_program(&folder, published), web(&folder));
    let digest = Shipped::of_release(&folder).and_then(|shipped| {
        let web = web.is_dir().then_some(web.as_path());
        digest(&Files { program: program.as_deref(), web, shipped: shipped.as_ref() })
    });
    digest.is_ok_and(|digest| digest == published.digest)
}

/// The release of a folder, as it was published.
pub(super) fn read(folder: &Utf8Path) -> Result<Published> {
    let path = folder.join("release.json");
    serde_json::from_slice(&read_file(&path)?).with_context(|| format!("read {path}"))
}

/// What runs a release: a program and its arguments. `args` are those of a program of the release's own.
pub(super) fn command(folder: &Utf8Path, published: &Published, args: &[String]) -> Result<(Utf8PathBuf, Vec<String>)> {
    match &published.form {
        PublishedForm::Folder { program } => Ok((folder.join("bin").join(program), args.to_vec())),
        PublishedForm::Command { command } => resolve(folder, command),
        PublishedForm::Image { name } => bail!("{name} is an image, and this target runs programs"),
    }
}

/// A command with the path of its program: among the release's files, or on the `PATH`.
pub(super) fn resolve(folder: &Utf8Path, command: &[String]) -> Result<(Utf8PathBuf, Vec<String>)> {
    let (name, args) = command.split_first().context("the command is empty")?;
    let program = if name.contains('/') {
        let program = shipped::folder(folder).join(name);
        ensure!(
            is_executable(&program),
            "the command runs {name}, which is no program among the files of the release\n  name it in `service.files` of \
             deploy.yaml, or its folder; if it is there, type: chmod +x {name}"
        );
        program
    } else {
        find_program(name).with_context(|| format!("there is no program {name} on the PATH, which runs the service"))?
    };
    Ok((program, args.to_vec()))
}

/// The folder that a release runs in.
pub(super) fn working(folder: &Utf8Path) -> Utf8PathBuf {
    let files = shipped::folder(folder);
    if files.is_dir() { files } else { folder.to_owned() }
}

/// The program in a release's folder, unless a command runs one.
fn own_program(folder: &Utf8Path, published: &Published) -> Option<Utf8PathBuf> {
    match &published.form {
        PublishedForm::Folder { program } => Some(folder.join("bin").join(program)),
        PublishedForm::Command { .. } | PublishedForm::Image { .. } => None,
    }
}

/// The web UI in a release's folder, which not every release has.
pub(super) fn web(folder: &Utf8Path) -> Utf8PathBuf {
    folder.join("web")
}

/// The digest of all that a release in a folder has: what it is named by.
pub(super) fn digest(files: &Files<'_>) -> Result<String> {
    let parts = [files.program.map(sha256_file), files.web.map(sha256_folder), files.shipped.map(Shipped::sha256)];
    let parts = parts.into_iter().flatten().collect::<Result<Vec<_>>>()?;
    Ok(match parts.as_slice() {
        [part] => format!("sha256:{part}"),
        parts => format!("sha256:{}", sha256(parts.concat().as_bytes())),
    })
}

/// Lets a group read the releases, and no other user.
pub(super) fn open_to(releases: &Utf8Path, group: u32) -> Result<()> {
    for entry in releases.read_dir_utf8()? {
        let folder = entry?.into_path();
        let meta = fs_err::symlink_metadata(&folder)?;
        if meta.is_dir() && (meta.gid() != group || meta.mode() & 0o7777 != mode(true, true)) {
            set_access(&folder, Some(group))?;
        }
    }
    Ok(())
}

/// Removes the releases that are not to be kept, and what a crash left behind.
pub(super) fn prune(releases: &Utf8Path, keep: &[&str]) -> Result<()> {
    if !releases.is_dir() {
        return Ok(());
    }
    for entry in releases.read_dir_utf8()? {
        let entry = entry?;
        if !keep.contains(&entry.file_name()) {
            fs_err::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn copy_folder(from: &Utf8Path, to: &Utf8Path) -> Result<()> {
    for path in files_below(from)? {
        let target: Utf8PathBuf = to.join(path.strip_prefix(from).unwrap_or(&path));
        fs_err::create_dir_all(target.parent().unwrap_or(to))?;
        fs_err::copy(&path, &target)?;
    }
    Ok(())
}

/// Sets owner, group and mode of everything in a folder, and last of the folder: its owner's alone, or readable for this group.
fn set_access(path: &Utf8Path, group: Option<u32>) -> Result<()> {
    let meta = fs_err::symlink_metadata(path)?;
    let runs = meta.is_dir() || meta.mode() & 0o100 != 0;
    if meta.is_dir() {
        for entry in path.read_dir_utf8()? {
            set_access(entry?.path(), group)?;
        }
    } else if !meta.is_file() {
        return Ok(());
    }
    if group.is_some() {
        lchown(path, Some(geteuid().as_raw()), group)?;
    }
    Ok(fs_err::set_permissions(path, Permissions::from_mode(mode(runs, group.is_some())))?)
}

fn mode(runs: bool, has_group: bool) -> u32 {
    match (runs, has_group) {
        (true, true) => 0o750,
        (true, false) => 0o700,
        (false, true) => 0o640,
        (false, false) => 0o600,
    }
}
