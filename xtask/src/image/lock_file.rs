//! `image.lock`: the digests of the base images. The tag in deploy.yaml says which base was chosen, and the digest pins its
//! content, so that a later build uses the same bytes.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};

use crate::clients::registry::reference::{Reference, is_digest};
use crate::config::Config;
use crate::fs::{project, replace_source};
use crate::tools::git;

/// Beside deploy.yaml.
pub const FILE: &str = "image.lock";

const HEADER: &str =
    "# The digests of the base images that deploy.yaml names. `cargo xtask image pin` writes this file; commit it.\n";

const WRITTEN_BY: &str = "the file is written by: cargo xtask image pin";

/// Digests by the base images' names in deploy.yaml.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockFile {
    pub digests: BTreeMap<String, String>,
}

impl LockFile {
    /// Reads the file of the working tree. A missing file has no digests.
    pub fn read(root: &Utf8Path) -> Result<Self> {
        let path = path(root);
        let context = || format!("read {path}; {WRITTEN_BY}");
        match project::read(root, Utf8Path::new(FILE)).with_context(context)? {
            Some(bytes) => Self::parse(bytes).with_context(context),
            None => Ok(Self::default()),
        }
    }

    /// Reads the file of a commit. A missing file has no digests.
    pub async fn of_commit(root: &Utf8Path, commit: &str) -> Result<Self> {
        match git::show_bytes(root, commit, FILE).await? {
            Some(bytes) => {
                Self::parse(bytes).with_context(|| format!("read {FILE} of {}; {WRITTEN_BY}", &commit[..12]))
            }
            None => Ok(Self::default()),
        }
    }

    /// Replaces the file of the working tree.
    pub fn write(&self, root: &Utf8Path) -> Result<()> {
        replace_source(&path(root), self.text()?.as_bytes())
    }

    /// `name:tag@sha256:…`; none if the base image is not pinned.
    pub fn pinned(&self, base: &str) -> Option<String> {
        let reference: Reference = base.parse().ok()?;
        Some(reference.pinned(self.digests.get(base)?).ok()?.to_string())
    }

    fn parse(bytes: Vec<u8>) -> Result<Self> {
        let is_blank = |line: &[u8]| line.trim_ascii().is_empty() || line.trim_ascii().starts_with(b"#");
        if bytes.split(|&byte| byte == b'\n').all(is_blank) {
            return Ok(Self::default());
        }
        let digests = Config::texts(Utf8Path::new(FILE), bytes)?;
        for (name, digest) in &digests {
            name.parse::<Reference>()?;
            ensure!(is_digest(digest), "{digest:?} of {name} is not a digest");
        }
        Ok(Self { digests })
    }

    fn text(&self) -> Result<String> {
        Ok(HEADER.to_owned() + &serde_yaml::to_string(&self.digests).context("write the digests as YAML")?)
    }
}

fn path(root: &Utf8Path) -> Utf8PathBuf {
    root.join(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use devservers::registry::digest_of;

    #[test]
    fn a_lock_file_is_read_as_it_is_written_and_anything_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        assert_eq!(LockFile::read(&root).unwrap(), LockFile::default());
        let names = ["rust:1.95", "127.0.0.1:5000/base/a:1", "registry.example.org/y"];
        let digests = names.map(|name| (name.to_owned(), digest_of(name.as_bytes()))).into();
        let lock = LockFile { digests };
        lock.write(&root).unwrap();
        assert_eq!(LockFile::read(&root).unwrap(), lock);
        // As earlier versions of the toolkit wrote it.
        fs_err::write(root.join(FILE), format!("\"rust:1.95\": {}\n", digest_of(b"x"))).unwrap();
        assert_eq!(LockFile::read(&root).unwrap().pinned("rust:1.95"), Some(format!("rust:1.95@{}", digest_of(b"x"))));
        for empty in ["", "# a comment\n\n", "{}"] {
            fs_err::write(root.join(FILE), empty).unwrap();
            assert_eq!(LockFile::read(&root).unwrap(), LockFile::default());
        }
        let aliases = format!("a: &a {}\n{}", "x".repeat(100_000), "b: *a\n".repeat(20_000));
        for wrong in ["rust:1.95: latest", "- rust", "\"no name\": sha256:0", "{", &"[".repeat(100_000), &aliases] {
            fs_err::write(root.join(FILE), wrong).unwrap();
            let error = format!("{:#}", LockFile::read(&root).unwrap_err());
            assert!(error.contains("image pin"), "{wrong}: {error}");
        }
    }
}
