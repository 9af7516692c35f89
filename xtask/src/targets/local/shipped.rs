//! `service.files` of deploy.yaml: what a release has beside its program, and runs in.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result, bail, ensure};
use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::symlink;
use sha2::{Digest as _, Sha256};

use crate::fs::{found, project, read_file};
use crate::hash::sha256_file;
use crate::tools::git;

/// Files below a folder.
pub(super) struct Shipped {
    root: Utf8PathBuf,
    names: BTreeSet<Utf8PathBuf>,
}

impl Shipped {
    /// Those that deploy.yaml names, or all that git does not ignore. What the project keeps to itself is never among them.
    pub(super) async fn of_tree(root: &Utf8Path, named: &[Utf8PathBuf]) -> Result<Self> {
        let mut names = BTreeSet::new();
        for name in named {
            collect_named(root, &plain(name), &mut names).with_context(|| format!("`service.files` names {name}"))?;
        }
        if named.is_empty() {
            for name in git::kept_files(root, Utf8Path::new(".")).await? {
                let utf8 = Utf8Path::from_path(&name).with_context(|| {
                    format!("the name of a file is not UTF-8: {name:?}; rename it, or name what a release needs as `service.files`")
                })?;
                let name = plain(utf8);
                // What was removed and not committed is still listed; so is what was in a folder that is a link now.
                let is_there = match link_above(root, &name) {
                    Some(_) => false,
                    None => found(fs_err::symlink_metadata(root.join(&name)))?.is_some(),
                };
                if is_there && !name.components().any(|part| project::is_private(part.as_str())) {
                    collect(root, &name, &mut names)?;
                }
            }
        }
        ensure!(!names.is_empty(), "there is no file for the release; name them as `service.files` in deploy.yaml");
        Ok(Self { root: root.to_owned(), names })
    }

    /// Those of a release's folder, by the list that was written with them: what a program has written beside them is not. None in a
    /// release without files.
    pub(super) fn of_release(release: &Utf8Path) -> Result<Option<Self>> {
        let Some(list) = found(read_file(list(release)))? else { return Ok(None) };
        let names = serde_json::from_slice(&list).with_context(|| format!("read {}", self::list(release)))?;
        Ok(Some(Self { root: folder(release), names }))
    }

    /// The hash over names, contents, and who may run what.
    pub(super) fn sha256(&self) -> Result<String> {
        let mut hasher = Sha256::new();
        hasher.update("files\n");
        for name in &self.names {
            let path = self.root.join(name);
            let meta = fs_err::symlink_metadata(&path)?;
            let content = match meta.is_symlink() {
                true => format!("link {}", path.read_link_utf8()?),
                false if meta.permissions().mode() & 0o100 != 0 => format!("program {}", sha256_file(&path)?),
                false => sha256_file(&path)?,
            };
            hasher.update(format!("{name}\0{content}\n"));
        }
        Ok(hex::encode(hasher.finalize()))
    }

    /// Bytes of all files.
    pub(super) fn size(&self) -> Result<u64> {
        let mut size = 0;
        for name in &self.names {
            size += fs_err::symlink_metadata(self.root.join(name))?.len();
        }
        Ok(size)
    }

    /// Copies them into a release's folder. Refuses a link that leads nowhere there.
    pub(super) fn copy(&self, release: &Utf8Path) -> Result<()> {
        let to = folder(release);
        let (links, files): (Vec<_>, Vec<_>) = self.names.iter().partition(|name| self.root.join(name).is_symlink());
        let root = self.root.canonicalize_utf8()?;
        for name in &links {
            let leads_to = self.root.join(name).canonicalize_utf8().ok();
            let leads_to = leads_to.as_ref().and_then(|target| target.strip_prefix(&root).ok());
            ensure!(leads_to.is_some_and(|target| self.has(target)), self.leads_nowhere(name));
        }
        fs_err::create_dir(&to)?;
        for name in files {
            fs_err::create_dir_all(to.join(name).parent().unwrap_or(&to))?;
            fs_err::copy(self.root.join(name), to.join(name))?;
        }
        // Critical: after the last file. A file that is copied through a link overwrites one of the user's.
        for name in &links {
            fs_err::create_dir_all(to.join(name).parent().unwrap_or(&to))?;
            symlink(self.root.join(name).read_link_utf8()?, to.join(name))?;
        }
        // One that names the tree by its whole path leads out of the release.
        let within = to.canonicalize_utf8()?;
        for name in &links {
            let leads = to.join(name).canonicalize_utf8().is_ok_and(|target| target.starts_with(&within));
            ensure!(leads, self.leads_nowhere(name));
        }
        let names = serde_json::to_vec(&self.names).context("list the files of the release")?;
        Ok(fs_err::write(list(release), names)?)
    }

    /// Whether this is one of the files, or a folder with one.
    fn has(&self, path: &Utf8Path) -> bool {
        self.names.iter().any(|name| name.starts_with(path))
    }

    fn leads_nowhere(&self, name: &Utf8Path) -> String {
        let target = self.root.join(name).read_link_utf8().unwrap_or_default();
        format!(
            "{name} is a link to {target}, which is not among the files of the release\n  name that in `service.files`, too, or put \
             the file itself there"
        )
    }
}

/// Where a release has them.
pub(super) fn folder(release: &Utf8Path) -> Utf8PathBuf {
    release.join("files")
}

fn list(release: &Utf8Path) -> Utf8PathBuf {
    release.join("files.json")
}

/// The path without what leads to the same place.
fn plain(path: &Utf8Path) -> Utf8PathBuf {
    path.components().filter(|part| matches!(part, Utf8Component::Normal(_))).collect()
}

/// The first of the folders above a name that is a link.
fn link_above(root: &Utf8Path, name: &Utf8Path) -> Option<Utf8PathBuf> {
    let above: Vec<&Utf8Path> = name.ancestors().skip(1).filter(|folder| !folder.as_str().is_empty()).collect();
    above.into_iter().rev().find(|folder| root.join(folder).is_symlink()).map(Utf8Path::to_owned)
}

fn collect_named(root: &Utf8Path, name: &Utf8Path, names: &mut BTreeSet<Utf8PathBuf>) -> Result<()> {
    match link_above(root, name) {
        Some(link) => {
            bail!(
                "{link} is a link, so what is below it is a file of another place\n  name the link itself, or that place"
            )
        }
        None => collect(root, name, names),
    }
}

fn collect(root: &Utf8Path, name: &Utf8Path, names: &mut BTreeSet<Utf8PathBuf>) -> Result<()> {
    let path = root.join(name);
    let meta = fs_err::symlink_metadata(&path)?;
    if meta.is_dir() {
        for entry in path.read_dir_utf8().with_context(|| format!("list {path}"))? {
            let entry = entry?;
            if !project::is_private(entry.file_name()) {
                collect(root, &name.join(entry.file_name()), names)?;
            }
        }
        return Ok(());
    }
    ensure!(meta.is_file() || meta.is_symlink(), "{name} is neither a file nor a folder");
    names.insert(name.to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    struct Site {
        folder: tempfile::TempDir,
    }

    impl Site {
        fn new() -> Self {
            let site = Self { folder: tempfile::tempdir().unwrap() };
            for (name, text) in
                [("tree/a/b.js", "b"), ("tree/c.js", "c"), ("tree/.env.local", "S=x"), ("tree/a/.env", "S=x")]
            {
                fs_err::create_dir_all(site.path(name).parent().unwrap()).unwrap();
                fs_err::write(site.path(name), text).unwrap();
            }
            fs_err::create_dir(site.path("release")).unwrap();
            site
        }

        fn path(&self, name: &str) -> Utf8PathBuf {
            Utf8Path::from_path(self.folder.path()).unwrap().join(name)
        }

        fn git(&self, args: &[&str]) {
            let mut git = std::process::Command::new("git");
            git.arg("-C").arg(self.path("tree")).args(args).env("GIT_CONFIG_GLOBAL", "/dev/null");
            assert!(git.output().unwrap().status.success(), "{args:?}");
        }

        async fn named(&self, names: &[&str]) -> Result<Shipped> {
            let names: Vec<Utf8PathBuf> = names.iter().map(Utf8PathBuf::from).collect();
            Shipped::of_tree(&self.path("tree"), &names).await
        }
    }

    #[tokio::test]
    async fn a_release_has_what_is_named_and_no_file_of_secrets() {
        let site = Site::new();
        let shipped = site.named(&["./a", "c.js"]).await.unwrap();
        shipped.copy(&site.path("release")).unwrap();
        let kept = Shipped::of_release(&site.path("release")).unwrap().unwrap();
        assert_eq!(kept.names, BTreeSet::from(["a/b.js".into(), "c.js".into()]));
        assert_eq!(kept.sha256().unwrap(), shipped.sha256().unwrap());
        // What the program writes there is none of the release.
        fs_err::write(site.path("release/files/cache"), "x").unwrap();
        assert_eq!(
            Shipped::of_release(&site.path("release")).unwrap().unwrap().sha256().unwrap(),
            kept.sha256().unwrap()
        );
        fs_err::write(site.path("release/files/c.js"), "other").unwrap();
        assert_ne!(kept.sha256().unwrap(), shipped.sha256().unwrap());
        assert!(Shipped::of_release(&site.path("tree")).unwrap().is_none());
    }

    #[tokio::test]
    async fn the_hash_depends_on_who_may_run_a_file() {
        let site = Site::new();
        let before = site.named(&["c.js"]).await.unwrap().sha256().unwrap();
        fs_err::set_permissions(site.path("tree/c.js"), Permissions::from_mode(0o755)).unwrap();
        assert_ne!(site.named(&["c.js"]).await.unwrap().sha256().unwrap(), before);
    }

    #[tokio::test]
    async fn a_link_is_kept_if_it_leads_to_a_file_of_the_release() {
        let site = Site::new();
        symlink("../c.js", site.path("tree/a/link")).unwrap();
        site.named(&["a", "c.js"]).await.unwrap().copy(&site.path("release")).unwrap();
        assert!(site.path("release/files/a/link").is_symlink());
        fs_err::create_dir(site.path("other")).unwrap();
        let refused = site.named(&["a"]).await.unwrap().copy(&site.path("other")).unwrap_err().to_string();
        assert!(refused.contains("a/link is a link to ../c.js, which is not among the files"), "{refused}");
        symlink("/etc/passwd", site.path("tree/passwd")).unwrap();
        fs_err::create_dir(site.path("third")).unwrap();
        let refused = site.named(&["passwd"]).await.unwrap().copy(&site.path("third")).unwrap_err().to_string();
        assert!(refused.contains("passwd is a link to /etc/passwd"), "{refused}");
    }

    #[tokio::test]
    async fn nothing_is_copied_through_a_link_in_the_place_of_a_folder() {
        let site = Site::new();
        for (name, text) in [("tree/shared/x", "of git"), ("data/x", "of the user")] {
            fs_err::create_dir_all(site.path(name).parent().unwrap()).unwrap();
            fs_err::write(site.path(name), text).unwrap();
        }
        site.git(&["init", "--quiet"]);
        site.git(&["add", "--force", "c.js", "shared/x"]);
        fs_err::remove_dir_all(site.path("tree/shared")).unwrap();
        symlink(site.path("data"), site.path("tree/shared")).unwrap();
        // git lists `shared` and `shared/x`.
        let shipped = site.named(&[]).await.unwrap();
        assert!(!shipped.names.contains(Utf8Path::new("shared/x")), "{:?}", shipped.names);
        let refused = shipped.copy(&site.path("release")).unwrap_err().to_string();
        assert!(refused.starts_with("shared is a link to"), "{refused}");
        assert!(!site.path("release/files").exists());
        let refused = format!("{:#}", site.named(&["c.js", "./shared/x"]).await.map(drop).unwrap_err());
        assert!(refused.contains("names ./shared/x: shared is a link"), "{refused}");
        // Even of such a list, no file goes through a link of the release.
        let names = ["c.js", "shared", "shared/x"].map(Utf8PathBuf::from).into();
        Shipped { root: site.path("tree"), names }.copy(&site.path("release")).unwrap_err();
        assert_eq!(fs_err::read_to_string(site.path("data/x")).unwrap(), "of the user");
    }

    #[tokio::test]
    async fn a_name_that_is_not_there_is_named() {
        let refused = format!("{:#}", Site::new().named(&["dist"]).await.map(drop).unwrap_err());
        assert!(refused.contains("`service.files` names dist"), "{refused}");
    }

    // Other systems refuse such a name.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_name_that_is_not_utf8_is_shown_with_its_bytes() {
        use std::os::unix::ffi::OsStrExt as _;
        let site = Site::new();
        site.git(&["init", "--quiet"]);
        let name = std::ffi::OsStr::from_bytes(b"caf\xe9.txt");
        fs_err::write(site.path("tree").as_std_path().join(name), "x").unwrap();
        let refused = site.named(&[]).await.map(drop).unwrap_err().to_string();
        assert!(refused.contains(r#""caf\xE9.txt"; rename it"#), "{refused}");
        assert!(site.named(&["c.js"]).await.is_ok());
    }
}
