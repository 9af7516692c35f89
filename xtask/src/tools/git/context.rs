//! A build's context: files of a commit, packed by git.

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use tempfile::TempDir;

use super::git;
use crate::tools::cmd::{Cmd, Output};

/// A fixed author and committer, so that the same files give the same bytes on every machine.
const AUTHOR: [(&str, &str); 4] = [
    ("GIT_AUTHOR_NAME", "context"),
    ("GIT_AUTHOR_EMAIL", "context"),
    ("GIT_COMMITTER_NAME", "context"),
    ("GIT_COMMITTER_EMAIL", "context"),
];

/// The files of a commit without the excluded ones. Its git objects are in a temporary folder, not in the repository.
pub struct Context {
    root: Utf8PathBuf,
    commit: String,
    tree: String,
    scratch: Scratch,
}

impl Context {
    /// The files of `commit` for which `keep` returns true.
    pub async fn of(root: &Utf8Path, commit: &str, keep: impl Fn(&str) -> bool) -> Result<Self> {
        let scratch = Scratch::new(root).await?;
        let listed = git(root, &["ls-tree", "-r", "-z", commit]).capture().await?;
        let mut excluded = Vec::new();
        for entry in listed.split('\0').filter(|entry| !entry.is_empty()) {
            let (what, path) =
                entry.split_once('\t').with_context(|| format!("unexpected output of git ls-tree: {entry:?}"))?;
            if !keep(path) {
                excluded.push(path);
            } else if what.starts_with("160000 ") {
                bail!(
                    "{path} is a submodule, whose files are not in this repository's commits; put it into .dockerignore"
                );
            }
        }
        let list = scratch.folder.join("excluded");
        fs_err::write(&list, excluded.join("\0"))?;
        scratch.git(root, &["read-tree", commit]).run().await?;
        if !excluded.is_empty() {
            let remove = ["rm", "-r", "-f", "--cached", "--quiet", "--ignore-unmatch", "--pathspec-file-nul"];
            let remove = scratch.git(root, &remove).arg(format!("--pathspec-from-file={list}"));
            remove.env("GIT_LITERAL_PATHSPECS", "1").run().await?;
        }
        let tree = scratch.git(root, &["write-tree"]).capture().await?;
        // The archive of a tree without a commit would have the current time.
        let time = git(root, &["log", "-1", "--format=%ct +0000", commit]).capture().await?;
        let commit = scratch.git(root, &["commit-tree", "-m", "context", &tree]);
        let commit = AUTHOR.iter().fold(commit, |commit, (name, value)| commit.env(*name, *value));
        let commit = commit.env("GIT_AUTHOR_DATE", &time).env("GIT_COMMITTER_DATE", &time).capture().await?;
        // The project may be a folder of the repository.
        let tree = scratch.git(root, &["rev-parse", &format!("{commit}:./")]).capture().await?;
        Ok(Self { root: root.to_owned(), commit, tree, scratch })
    }

    /// A hash of the names, modes and contents of its files.
    pub fn id(&self) -> &str {
        &self.tree
    }

    /// The context as a reproducible tar. Its files have the modes of an ordinary checkout, so that such builds share the layer
    /// cache. Reading fails if git fails.
    pub fn archive(&self) -> Result<Output> {
        self.scratch.git(&self.root, &["-c", "tar.umask=0022", "archive", "--format=tar", &self.commit]).stream()
    }
}

/// A temporary folder for an index and objects, outside the repository.
struct Scratch {
    folder: Utf8PathBuf,
    objects: String,
    _temporary: TempDir,
}

impl Scratch {
    async fn new(root: &Utf8Path) -> Result<Self> {
        let temporary = tempfile::tempdir().context("create a folder for the build's context")?;
        let folder = Utf8PathBuf::from_path_buf(temporary.path().to_owned())
            .map_err(|path| anyhow::anyhow!("the path of the folder for temporary files is not UTF-8: {path:?}"))?;
        fs_err::create_dir(folder.join("objects"))?;
        let objects = git(root, &["rev-parse", "--path-format=absolute", "--git-path", "objects"]).capture().await?;
        Ok(Self { folder, objects, _temporary: temporary })
    }

    fn git(&self, root: &Utf8Path, args: &[&str]) -> Cmd {
        git(root, args)
            .env("GIT_INDEX_FILE", self.folder.join("index").into_string())
            .env("GIT_OBJECT_DIRECTORY", self.folder.join("objects").into_string())
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", self.objects.clone())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    async fn tar_of(context: &Context) -> Vec<u8> {
        let mut bytes = Vec::new();
        context.archive().unwrap().read_to_end(&mut bytes).await.unwrap();
        bytes
    }

    async fn names(tar: &[u8], folder: &Utf8Path) -> Vec<String> {
        let path = folder.join("read.tar");
        fs_err::write(&path, tar).unwrap();
        let listed = Cmd::new("tar").args(["-tf", path.as_str()]).capture().await.unwrap();
        listed.lines().filter(|name| !name.ends_with('/')).map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn a_context_depends_on_the_files_of_the_commit_only() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().join("repository")).unwrap();
        fs_err::create_dir_all(root.join("docs/deep")).unwrap();
        for (path, text) in [("a file", "a"), ("README.md", "one"), ("docs/deep/x", "x"), ("[odd]*", "odd")] {
            fs_err::write(root.join(path), text).unwrap();
        }
        let commit = async |message: &str| {
            git(&root, &["add", "-A"]).run().await.unwrap();
            let who = ["-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "-qm", message];
            git(&root, &who).run().await.unwrap();
            git(&root, &["rev-parse", "HEAD"]).capture().await.unwrap()
        };
        git(&root, &["init", "-q", "-b", "main"]).run().await.unwrap();
        let first = commit("First").await;
        let keep = |path: &str| path != "README.md" && !path.starts_with("docs/");
        let objects = async || git(&root, &["count-objects"]).capture().await.unwrap();
        let before = objects().await;

        let context = Context::of(&root, &first, keep).await.unwrap();
        // Uncommitted changes are not part of the context.
        fs_err::write(root.join("a file"), "changed").unwrap();
        fs_err::write(root.join("untracked"), "u").unwrap();
        let tar = tar_of(&context).await;
        let outside = Utf8Path::from_path(folder.path()).unwrap();
        assert_eq!(names(&tar, outside).await, ["[odd]*", "a file"]);
        assert!(String::from_utf8_lossy(&tar).contains("\0a\0"), "the content of the commit");
        let again = Context::of(&root, &first, keep).await.unwrap();
        assert_eq!(tar_of(&again).await, tar);
        assert_eq!(objects().await, before, "the repository did not grow");

        git(&root, &["checkout", "-q", "--", "a file"]).run().await.unwrap();
        fs_err::remove_file(root.join("untracked")).unwrap();
        fs_err::write(root.join("README.md"), "two").unwrap();
        let second = commit("Second").await;
        assert_eq!(Context::of(&root, &second, keep).await.unwrap().id(), context.id());
        fs_err::write(root.join("a file"), "b").unwrap();
        let third = commit("Third").await;
        assert_ne!(Context::of(&root, &third, keep).await.unwrap().id(), context.id());
    }

    #[tokio::test]
    async fn an_incomplete_archive_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        git(&root, &["init", "-q"]).run().await.unwrap();
        let mut broken = git(&root, &["archive", "0000000000000000000000000000000000000000"]).stream().unwrap();
        let error = broken.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert!(error.to_string().contains("git"), "{error}");
    }
}
