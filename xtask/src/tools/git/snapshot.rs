//! Which files change while a build reads the tree: their names, for people. Whether one has changed is told by the version.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;

use anyhow::Result;
use camino::Utf8Path;

use super::changes::Status;
use super::{Filters, checked_out};

/// The changed and untracked files of a moment.
pub struct Snapshot {
    commit: String,
    /// By path, from the top of the repository; none for one that is gone.
    files: BTreeMap<String, Option<Stamp>>,
}

/// What changes with a file's content, without reading it: size, inode, and the time of its last change in nanoseconds.
type Stamp = (u64, u64, i64, i64);

impl Snapshot {
    /// Takes one now.
    pub async fn take(root: &Utf8Path) -> Result<Self> {
        let (top, commit) = checked_out(root).await?;
        let status = Status::of(&top, Filters::Run).await?;
        let stamped = status.paths().map(|path| {
            let data = fs_err::symlink_metadata(top.join(path)).ok();
            let stamp = data.map(|data| (data.len(), data.ino(), data.ctime(), data.ctime_nsec()));
            (path.to_string_lossy().into_owned(), stamp)
        });
        Ok(Self { commit, files: stamped.collect() })
    }

    /// What is different in a later one. If nothing is, what differs from the commit.
    pub fn differences(&self, later: &Self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        if self.commit != later.commit {
            names.push(format!("the commit, which is {} now", &later.commit[..later.commit.len().min(12)]));
        }
        let paths: std::collections::BTreeSet<&String> = self.files.keys().chain(later.files.keys()).collect();
        names.extend(paths.into_iter().filter(|path| self.files.get(*path) != later.files.get(*path)).cloned());
        if names.is_empty() {
            names.extend(later.files.keys().cloned());
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::super::git;
    use super::*;

    #[tokio::test]
    async fn files_are_named_that_change_appear_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        let write = |name: &str, text: &str| fs_err::write(root.join(name), text).unwrap();
        let who = ["-c", "user.name=T", "-c", "user.email=t@example.org"];
        git(root, &["init", "-q"]).run().await.unwrap();
        for name in ["clean", "dirty", "stays dirty", "reverted"] {
            write(name, "one");
        }
        git(root, &["add", "."]).run().await.unwrap();
        git(root, &[&who[..], &["commit", "-qm", "First"]].concat()).run().await.unwrap();
        write("dirty", "two");
        write("stays dirty", "two");
        write("reverted", "two");
        write("untracked", "one");
        let before = Snapshot::take(root).await.unwrap();
        assert_eq!(before.differences(&before), ["dirty", "reverted", "stays dirty", "untracked"]);
        write("clean", "now dirty");
        write("dirty", "three");
        write("reverted", "one");
        write("neu ä", "one");
        fs_err::remove_file(root.join("untracked")).unwrap();
        let after = Snapshot::take(root).await.unwrap();
        assert_eq!(before.differences(&after), ["clean", "dirty", "neu ä", "reverted", "untracked"]);
    }
}
