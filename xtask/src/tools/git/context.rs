//! A build's context: the bytes of a commit's files. `git archive` is not used, because attributes and configuration change
//! what it packs.

use std::io::{BufReader, Read as _};

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use tokio::io::AsyncRead;
use tokio_util::io::SyncIoBridge;

use super::{changes::pieces, commit_time, git, path, quoted};
use crate::hash::sha256;
use crate::tools::cmd::Cmd;

mod blobs;
mod pack;

use self::blobs::Blobs;

/// The file that stands for a larger one in Git LFS is shorter than this (its specification 1).
const POINTER_LIMIT: u64 = 1024;

/// The first line of such a file, of today's version and of the one before the project was renamed.
const POINTERS: [&[u8]; 2] = [b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/"];

/// The files of a commit without the excluded ones.
pub struct Context {
    root: Utf8PathBuf,
    files: Vec<File>,
    /// When the commit was made: its files have this time in the archive. Seconds since 1970.
    time: u64,
}

/// A file of a commit.
#[derive(Clone)]
struct File {
    /// Relative to the context.
    path: Vec<u8>,
    kind: Kind,
    /// The digits of its content.
    object: String,
    /// Bytes.
    size: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Program,
    Link,
}

impl Context {
    /// The files of `commit` for which `keep` returns true. If `root` is a folder of the repository, those of that folder. Refuses
    /// a submodule and a pointer of Git LFS: the content of neither is in the commit.
    pub async fn of(root: &Utf8Path, commit: &str, keep: impl FnMut(&[u8]) -> bool) -> Result<Self> {
        let (context, submodules) = Self::list(root, commit, keep).await?;
        if !submodules.is_empty() {
            bail!(
                "submodules, whose files are not in this repository's commits: {}\n  put each into .dockerignore",
                names(submodules.iter().map(Vec::as_slice))
            );
        }
        context.check_pointers().await?;
        Ok(context)
    }

    /// All files that the commit itself has, pointers of Git LFS as they are.
    pub async fn all(root: &Utf8Path, commit: &str) -> Result<Self> {
        Ok(Self::list(root, commit, |_| true).await?.0)
    }

    /// The files, and the paths of the submodules.
    async fn list(root: &Utf8Path, commit: &str, mut keep: impl FnMut(&[u8]) -> bool) -> Result<(Self, Vec<Vec<u8>>)> {
        let listed = git(root, &["ls-tree", "-r", "-z", "--long", commit]).capture_bytes().await?;
        let (mut files, mut submodules) = (Vec::new(), Vec::new());
        for line in pieces(&listed) {
            let unexpected = || format!("unexpected output of git ls-tree: {:?}", String::from_utf8_lossy(line));
            let tab = line.iter().position(|&byte| byte == b'\t').with_context(unexpected)?;
            let (what, path) = (str::from_utf8(&line[..tab]).with_context(unexpected)?, &line[tab + 1..]);
            if !keep(path) {
                continue;
            }
            let [mode, _, object, size] = what.split_whitespace().collect::<Vec<_>>()[..] else { bail!(unexpected()) };
            let kind = match mode {
                "160000" => {
                    submodules.push(path.to_vec());
                    continue;
                }
                "120000" => Kind::Link,
                "100755" => Kind::Program,
                _ => Kind::File,
            };
            let size = size.parse().with_context(unexpected)?;
            files.push(File { path: path.to_vec(), kind, object: object.to_owned(), size });
        }
        let seconds = commit_time(root, commit).await?.as_second();
        Ok((Self { root: root.to_owned(), files, time: seconds.try_into().unwrap_or_default() }, submodules))
    }

    /// A hash of the names, modes and contents of its files.
    pub fn id(&self) -> String {
        let mut text = Vec::new();
        for File { path, kind, object, .. } in &self.files {
            text.extend(format!("{:o} {object} ", pack::mode(*kind)).as_bytes());
            text.extend(path);
            text.push(0);
        }
        sha256(&text)
    }

    /// The context as a tar. Equal files of commits of one time give equal bytes, and their modes are those of an ordinary
    /// checkout, so that such builds share the layer cache. Reading fails if git fails.
    pub fn archive(&self) -> Result<impl AsyncRead + Send + Unpin + use<>> {
        let blobs = BufReader::new(SyncIoBridge::new(self.batch(self.files.iter()).stream()?));
        Ok(pack::stream(blobs, self.files.clone(), self.time))
    }

    /// Writes its files into a folder, which is made.
    pub async fn unpack(&self, folder: &Utf8Path) -> Result<()> {
        let tar = SyncIoBridge::new(self.archive()?);
        let into = folder.to_owned();
        let unpacked = tokio::task::spawn_blocking(move || tar::Archive::new(tar).unpack(&into)).await;
        unpacked.context("unpack in a thread")?.with_context(|| format!("write the commit's files into {folder}"))
    }

    /// Fails with the names of all pointers of Git LFS.
    async fn check_pointers(&self) -> Result<()> {
        let small = |file: &&File| file.kind != Kind::Link && file.size < POINTER_LIMIT;
        let small: Vec<&File> = self.files.iter().filter(small).collect();
        let contents = self.batch(small.iter().copied()).capture_bytes().await?;
        let (mut contents, mut pointers) = (Blobs::new(&contents[..]), Vec::new());
        for file in small {
            let mut content = Vec::new();
            contents.next(&file.object)?.read_to_end(&mut content)?;
            if POINTERS.iter().any(|first| content.starts_with(first)) {
                pointers.push(&file.path[..]);
            }
        }
        if let Some(&first) = pointers.first() {
            let first = quoted(path(first));
            bail!(
                "Git LFS has the content of these files, and the commit has only pointers to it: {}\n  \
                 put each into .dockerignore, or into the commits themselves: git lfs untrack {first} && \
                 git add --renormalize {first} && git commit",
                names(pointers.iter().copied())
            );
        }
        Ok(())
    }

    /// Prints the contents of these files, as they are stored.
    fn batch<'f>(&self, files: impl Iterator<Item = &'f File>) -> Cmd {
        let objects: String = files.map(|file| format!("{}\n", file.object)).collect();
        git(&self.root, &["cat-file", "--batch", "--buffer"]).input(objects)
    }
}

fn names<'p>(paths: impl IntoIterator<Item = &'p [u8]>) -> String {
    paths.into_iter().map(|name| path(name).display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
