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
    ensure!(
        digest_of(new, published)? == published.digest,
        "the files changed while they were copied\n  when they are at rest, type the same command again"
    );
    set_access(new, None)?;
    if folder.exists() {
        // The same version with other bytes, of another compiler for example. A process may run in the old folder and open files
        // there until it ends, so that stays until the releases are pruned.
        let old = temporary_folder(".replaced-", releases).context("make a folder")?.keep();
        fs_err::rename(&folder, old.join("old"))?;
    }
    fs_err::rename(new, &folder)?;
    // Renamed away, so there is nothing left to remove.
    drop(temporary.keep());
    Ok(())
}

/// Whether the release's folder is there with the bytes that its digest names.
pub(super) fn has(releases: &Utf8Path, published: &Published) -> bool {
    digest_of(&releases.join(&published.source.version), published).is_ok_and(|digest| digest == published.digest)
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

/// The digest of all that a release in a folder has, what it is named by: of the hashes of its program, web UI and files.
pub(super) fn digest(parts: [Option<String>; 3]) -> String {
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    match parts.as_slice() {
        [part] => format!("sha256:{part}"),
        parts => format!("sha256:{}", sha256(parts.concat().as_bytes())),
    }
}

/// That of what is in this folder now.
fn digest_of(folder: &Utf8Path, published: &Published) -> Result<String> {
    let (program, web) = (own_program(folder, published), web(folder));
    let program = program.map(|program| sha256_file(&program)).transpose()?;
    let web = web.is_dir().then(|| sha256_folder(&web)).transpose()?;
    let shipped = Shipped::of_release(folder)?.map(|shipped| shipped.sha256()).transpose()?;
    Ok(digest([program, web, shipped]))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::Source;

    #[tokio::test]
    async fn a_release_is_what_was_built_and_the_one_in_its_place_stays_until_releases_are_pruned() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        let releases = root.join("releases");
        let put = async |text: &str, built: Option<String>| {
            fs_err::write(root.join("a.txt"), text).unwrap();
            let shipped = Shipped::of_tree(root, &["a.txt".into()]).await.unwrap();
            let digest = built.unwrap_or_else(|| digest([None, None, Some(shipped.sha256().unwrap())]));
            let source = Source {
                version: "0123456789ab".to_owned(),
                commit: "0".repeat(40),
                subject: String::new(),
                branch: None,
            };
            let form = PublishedForm::Command { command: vec!["sh".to_owned()] };
            let published = Published { source, digest, migrations: Vec::new(), form };
            let files = Files { program: None, web: None, shipped: Some(&shipped) };
            publish(&releases, &published, &files)
        };
        let replaced = || -> Vec<Utf8PathBuf> {
            let all = releases.read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path());
            all.filter(|path| path.file_name().unwrap().starts_with(".replaced-")).collect()
        };
        put("one", None).await.unwrap();
        let refused = put("other", Some("sha256:of-what-was-built".to_owned())).await.unwrap_err().to_string();
        assert!(refused.starts_with("the files changed while they were copied"), "{refused}");
        let read = |path: &Utf8Path| fs_err::read_to_string(path.join("files/a.txt")).unwrap();
        assert_eq!((read(&releases.join("0123456789ab")).as_str(), replaced().len()), ("one", 0));
        put("two", None).await.unwrap();
        assert_eq!(read(&releases.join("0123456789ab")), "two");
        assert_eq!((replaced().len(), read(&replaced()[0].join("old")).as_str()), (1, "one"));
        prune(&releases, &["0123456789ab"]).unwrap();
        assert!(replaced().is_empty());
    }
}
