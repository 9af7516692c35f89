//! The folders of the releases: `releases/<version>/{bin/<program>, web/, release.json}`.

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::hash::{files_below, sha256, sha256_file, sha256_folder};
use crate::release::{Published, PublishedForm};

/// Files to publish.
pub(super) struct Files<'a> {
    /// The program.
    pub program: &'a Utf8Path,
    /// The web UI's folder.
    pub web: Option<&'a Utf8Path>,
}

/// Puts files into the release's folder: all of them or none.
pub(super) fn publish(releases: &Utf8Path, published: &Published, files: &Files<'_>) -> Result<()> {
    let folder = releases.join(&published.source.version);
    if has(releases, published) && read(&folder)? == *published {
        return Ok(());
    }
    fs_err::create_dir_all(releases)?;
    let temporary = tempfile::Builder::new()
        .prefix(".publish-")
        .tempdir_in(releases)
        .with_context(|| format!("make a folder in {releases}"))?;
    let new = Utf8Path::from_path(temporary.path()).context("the temporary folder's path is not UTF-8")?;
    fs_err::create_dir(new.join("bin"))?;
    fs_err::copy(files.program, program(new, published)?)?;
    if let Some(web) = files.web {
        copy_folder(web, &new.join("web"))?;
    }
    fs_err::write(
        new.join("release.json"),
        serde_json::to_vec_pretty(published).context("describe the release as JSON")?,
    )?;
    make_readable(new)?;
    if folder.exists() {
        // The same version with other bytes, of another compiler for example. A process that runs from the old folder keeps
        // its files until it ends.
        let old = tempfile::Builder::new().prefix(".replaced-").tempdir_in(releases).context("make a folder")?;
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
    let web = folder.join("web");
    let digest = program(&folder, published)
        .and_then(|program| digest(&Files { program: &program, web: web.is_dir().then_some(&web) }));
    digest.is_ok_and(|digest| digest == published.digest)
}

/// The release of a folder, as it was published.
pub(super) fn read(folder: &Utf8Path) -> Result<Published> {
    let path = folder.join("release.json");
    serde_json::from_slice(&fs_err::read(&path)?).with_context(|| format!("read {path}"))
}

/// The program in a release's folder.
pub(super) fn program(folder: &Utf8Path, published: &Published) -> Result<Utf8PathBuf> {
    match &published.form {
        PublishedForm::Folder { program } => Ok(folder.join("bin").join(program)),
        PublishedForm::Image { name } => anyhow::bail!("{name} is an image, and this target runs programs"),
    }
}

/// The digest of a program and its web files: what a release in a folder is named by.
pub(super) fn digest(files: &Files<'_>) -> Result<String> {
    let mut parts = sha256_file(files.program)?;
    if let Some(web) = files.web {
        parts.push_str(&sha256_folder(web)?);
        return Ok(format!("sha256:{}", sha256(parts.as_bytes())));
    }
    Ok(format!("sha256:{parts}"))
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

/// Temporary folders are made for their owner alone; a release's folder follows the user's umask like any other.
fn make_readable(folder: &Utf8Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs_err::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?)
}
