//! git: what is checked out, and what differs from it.

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use sha2::{Digest as _, Sha256};

mod context;
mod snapshot;

pub use self::context::Context;
pub use self::snapshot::Snapshot;
use super::cmd::Cmd;
use crate::fs::found;
use crate::hash::add_file;
use crate::release::Source;

/// The checked-out commit.
pub struct Head {
    /// 40 hexadecimal digits.
    pub commit: String,
    /// First line of its message.
    pub subject: String,
}

/// The commit that is checked out in `root`.
pub async fn head(root: &Utf8Path) -> Result<Head> {
    let output = git(root, &["log", "-1", "--format=%H%x00%s"]).capture().await.with_context(|| {
        format!("read the commit that is checked out in {root}; a new project needs one: git init && git add . && git commit")
    })?;
    let (commit, subject) =
        output.split_once('\0').with_context(|| format!("unexpected output of git log: {output:?}"))?;
    Ok(Head { commit: commit.to_owned(), subject: subject.to_owned() })
}

/// The checked-out source: a commit, or a commit and the hash of uncommitted changes.
pub async fn source(root: &Utf8Path) -> Result<Source> {
    // First, because its error says what to do without a repository or a commit.
    let head = head(root).await?;
    let (branch, changes) = tokio::try_join!(branch(root), changes(root))?;
    let short = &head.commit[..12];
    let version = changes.map_or_else(|| short.to_owned(), |changes| format!("{short}-dirty-{changes}"));
    Ok(Source { version, commit: head.commit, subject: head.subject, branch })
}

/// The branch, unless the head is detached.
pub async fn branch(root: &Utf8Path) -> Result<Option<String>> {
    let branch = git(root, &["branch", "--show-current"]).capture().await?;
    Ok((!branch.is_empty()).then_some(branch))
}

/// A hash of the uncommitted changes: changed, added, deleted and untracked files. None without changes.
pub async fn changes(root: &Utf8Path) -> Result<Option<String>> {
    let status = git(root, &["status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames"]);
    let status = status.capture().await?;
    if status.is_empty() {
        return Ok(None);
    }
    let mut hasher = Sha256::new();
    for entry in status.split('\0').filter(|entry| !entry.is_empty()) {
        // Two letters of status, a space, the path. The letters are not hashed: staging a change does not change the tree.
        let path = entry.get(3..).with_context(|| format!("unexpected output of git status: {entry:?}"))?;
        hasher.update(path.as_bytes());
        hasher.update([0]);
        match found(fs_err::symlink_metadata(root.join(path)))? {
            Some(data) if data.is_symlink() => {
                hasher.update(fs_err::read_link(root.join(path))?.as_os_str().as_encoded_bytes())
            }
            Some(data) if data.is_file() => {
                hasher.update([u8::from(is_executable(&data))]);
                add_file(&mut hasher, &root.join(path))?;
            }
            Some(_) => hasher.update(b"folder"),
            None => hasher.update(b"gone"),
        }
        hasher.update([0]);
    }
    Ok(Some(hex::encode(&hasher.finalize()[..4])))
}

/// The time of a commit: `HEAD`, or a commit's digits.
pub async fn commit_time(root: &Utf8Path, commit: &str) -> Result<jiff::Timestamp> {
    let seconds = git(root, &["log", "-1", "--format=%ct", commit]).capture().await?;
    let seconds = seconds.parse().with_context(|| format!("unexpected output of git log: {seconds:?}"))?;
    jiff::Timestamp::from_second(seconds).context("read the commit's time")
}

/// The URL of the remote `origin`, without credentials.
pub async fn origin(root: &Utf8Path) -> Result<Option<String>> {
    let remote = git(root, &["config", "--get", "remote.origin.url"]);
    // git fails if there is no such remote.
    let url = remote.capture().await.unwrap_or_default();
    let url = match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            format!("{scheme}://{}/{path}", host.rsplit('@').next().unwrap_or(host))
        }
        None => url,
    };
    Ok((!url.is_empty()).then_some(url))
}

/// The content of a file in a commit; none if the commit does not have it. The path is relative to `root`.
pub async fn show(root: &Utf8Path, commit: &str, path: &str) -> Result<Option<String>> {
    if git(root, &["ls-tree", "--name-only", commit, path]).capture().await?.is_empty() {
        return Ok(None);
    }
    Ok(Some(git(root, &["show", &format!("{commit}:./{path}")]).capture_whole().await?))
}

/// Whether git ignores this path.
pub async fn ignores(root: &Utf8Path, path: &str) -> Result<bool> {
    git(root, &["check-ignore", "--quiet", path]).succeeds().await
}

fn is_executable(data: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    data.permissions().mode() & 0o111 != 0
}

fn git(root: &Utf8Path, args: &[&str]) -> Cmd {
    // Without optional locks, `git status` does not block another git command.
    Cmd::new("git").arg("--no-optional-locks").args(args.iter().copied()).dir(root)
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;

    async fn repository() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        fs_err::write(root.join("a file.txt"), "one").unwrap();
        fs_err::write(root.join(".gitignore"), "ignored\n").unwrap();
        git(&root, &["init", "-q", "-b", "main"]).run().await.unwrap();
        git(&root, &["add", "."]).run().await.unwrap();
        let who = ["-c", "user.name=T", "-c", "user.email=t@example.org"];
        git(&root, &[&who[..], &["commit", "-qm", "First"]].concat()).run().await.unwrap();
        (folder, root)
    }

    #[tokio::test]
    async fn the_hash_of_changes_depends_on_their_content_only() {
        let (_folder, root) = repository().await;
        assert_eq!(head(&root).await.unwrap().subject, "First");
        assert_eq!(branch(&root).await.unwrap().as_deref(), Some("main"));
        fs_err::write(root.join("ignored"), "x").unwrap();
        assert_eq!(changes(&root).await.unwrap(), None);
        fs_err::write(root.join("a file.txt"), "two").unwrap();
        let two = changes(&root).await.unwrap().unwrap();
        git(&root, &["add", "."]).run().await.unwrap();
        assert_eq!(changes(&root).await.unwrap().as_ref(), Some(&two));
        fs_err::write(root.join("a file.txt"), "three").unwrap();
        assert_ne!(changes(&root).await.unwrap().as_ref(), Some(&two));
        fs_err::remove_file(root.join("a file.txt")).unwrap();
        assert!(changes(&root).await.unwrap().is_some());
        fs_err::write(root.join("a file.txt"), "one").unwrap();
        git(&root, &["add", "."]).run().await.unwrap();
        assert_eq!(changes(&root).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_folder_without_a_commit_says_what_to_type() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        let error = format!("{:#}", head(&root).await.err().unwrap());
        assert!(error.contains("git init"), "{error}");
    }
}
