//! The folders of the releases: `releases/<version>/{bin/<program>, web/, release.json}`.

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::hash::{files_below, sha256};
use crate::release::{Artifact, Migration, Published, StepResult as _, digest};

/// Puts an artifact into its folder: whole or not at all.
pub(super) fn publish(releases: &Utf8Path, artifact: &Artifact) -> Result<Published> {
    let folder = releases.join(&artifact.source.version);
    let program = artifact.binary.file_name().context("the built program has no name")?.to_owned();
    let digest = digest(&artifact.binary, artifact.web.as_ref().map(|web| web.folder.as_path()))?;
    let (source, migrations) = (artifact.source.clone(), artifact.migrations.clone());
    let published = Published { source, folder: folder.clone(), program, digest, migrations };
    if published.holds() && read(&folder)? == published {
        return Ok(published);
    }
    fs_err::create_dir_all(releases)?;
    let temporary = tempfile::Builder::new()
        .prefix(".publish-")
        .tempdir_in(releases)
        .with_context(|| format!("make a folder in {releases}"))?;
    let new = Utf8Path::from_path(temporary.path()).context("the temporary folder's path is not UTF-8")?;
    fs_err::create_dir(new.join("bin"))?;
    fs_err::copy(&artifact.binary, new.join("bin").join(&published.program))?;
    if let Some(web) = &artifact.web {
        copy_folder(&web.folder, &new.join("web"))?;
    }
    fs_err::write(
        new.join("release.json"),
        serde_json::to_vec_pretty(&published).context("describe the release as JSON")?,
    )?;
    make_readable(new)?;
    if folder.exists() {
        // The same version with other bytes: another compiler, for one. A process that runs from the old folder keeps its
        // files until it ends.
        let old = tempfile::Builder::new().prefix(".replaced-").tempdir_in(releases).context("make a folder")?;
        fs_err::rename(&folder, old.path().join("old"))?;
    }
    fs_err::rename(new, &folder)?;
    // Renamed away, so there is nothing left to remove.
    drop(temporary.keep());
    Ok(published)
}

/// The release of a folder, as it was published.
pub(super) fn read(folder: &Utf8Path) -> Result<Published> {
    let path = folder.join("release.json");
    let bytes = fs_err::read(&path)?;
    let published: Published = serde_json::from_slice(&bytes).with_context(|| format!("read {path}"))?;
    // The folder may have moved with the whole checkout since.
    Ok(Published { folder: folder.to_owned(), ..published })
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

/// The migrations of a folder, in the order of their names: `.sql` files.
pub(super) fn migrations(folder: &Utf8Path) -> Result<Vec<Migration>> {
    let mut migrations = Vec::new();
    for path in files_below(folder)? {
        if path.extension() != Some("sql") {
            continue;
        }
        let bytes = fs_err::read(&path)?;
        let irreversible =
            String::from_utf8_lossy(&bytes).lines().any(|line| line.trim().eq_ignore_ascii_case("-- irreversible"));
        let name = path.file_name().context("a migration has no name")?.to_owned();
        migrations.push(Migration { name, sha256: sha256(&bytes), irreversible });
    }
    Ok(migrations)
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
