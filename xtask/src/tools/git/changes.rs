//! What differs from the checked-out commit, in a repository and in every repository inside it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

use super::{Cmd, Filters, ask, git, path, quoted};
use crate::hash::add_file;

/// The working tree of a repository.
pub struct Tree {
    /// The checked-out commit; none before the first one.
    pub commit: Option<String>,
    /// The branch, unless the head is detached.
    pub branch: Option<String>,
    /// A hash of the uncommitted changes: changed, added, deleted and untracked files, and other commits and changes of
    /// submodules and of repositories that lie inside this one. None without changes.
    pub changes: Option<String>,
}

/// What is checked out in the folder of a submodule.
type Nested = Box<Tree>;

impl Tree {
    /// The working tree whose top folder this is. Fails when something in it cannot be hashed.
    pub async fn of(repository: &Path, filters: Filters) -> Result<Self> {
        let index = within(repository, &["ls-files", "-z", "--stage", "-v"]);
        let (mut status, index) = tokio::try_join!(Status::of(repository, filters), index.capture_bytes())?;
        let mut overlooked: Vec<(&str, &Path)> = Vec::new();
        for entry in Entry::all(&index) {
            let entry = entry?;
            if entry.is_submodule {
                // git's own look at a submodule overlooks what the submodule's configuration tells it to.
                if let Some(tree) = submodule(repository, path(entry.path), filters).await?
                    && (tree.changes.is_some() || tree.commit.as_deref() != Some(entry.object))
                {
                    status.changed.insert(entry.path.to_vec(), Some(tree));
                }
            } else if let Some(flag) = entry.overlooked
                && look(&repository.join(path(entry.path)))?.is_some()
            {
                overlooked.push((flag, path(entry.path)));
            }
        }
        ensure!(overlooked.is_empty(), see_again(repository, &overlooked));
        if let Some(unread) = status.unread.first() {
            bail!(unreadable(&repository.join(unread)));
        }
        let changes = hash(repository, status.changed, filters).await?;
        Ok(Self { commit: status.commit, branch: status.branch, changes })
    }
}

/// What `git status` reports.
#[derive(Default)]
pub struct Status {
    commit: Option<String>,
    branch: Option<String>,
    /// Paths of what differs, without how: staging a change does not change the tree.
    changed: BTreeMap<Vec<u8>, Option<Nested>>,
    /// Folders that git left out because it could not read them. Those of a submodule are named from its own top folder.
    unread: Vec<String>,
}

impl Status {
    /// Asks git in the repository whose top folder this is. Its configuration, and that of submodules, leaves nothing out.
    pub async fn of(repository: &Path, filters: Filters) -> Result<Self> {
        // `dirty` keeps git from running another git in each submodule, which would run the filters there. [`Tree`] looks into
        // them itself.
        let submodules = match filters {
            Filters::Run => "--ignore-submodules=none",
            Filters::Off => "--ignore-submodules=dirty",
        };
        let status = ["status", "--porcelain=v2", "-z", "--branch", "--no-ahead-behind", "--no-renames"];
        let status = within(repository, &[&status[..], &["--untracked-files=all", submodules]].concat());
        let status = match filters {
            Filters::Run => status,
            Filters::Off => without_filters(repository, status).await?,
        };
        let (output, warnings) = status.capture_warned().await?;
        let unread = warnings.lines().filter_map(|line| {
            let (folder, _why) = line.strip_prefix("warning: could not open directory '")?.rsplit_once("': ")?;
            Some(folder.to_owned())
        });
        Ok(Self { unread: unread.collect(), ..Self::read(&output)? })
    }

    /// The paths of what differs, from the top folder.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.changed.keys().map(|name| path(name))
    }

    /// Reads the version 2 of its output (man git-status, "Porcelain Format Version 2").
    fn read(output: &[u8]) -> Result<Self> {
        let mut status = Self::default();
        for line in pieces(output) {
            let unexpected = || format!("unexpected output of git status: {:?}", String::from_utf8_lossy(line));
            if let Some(header) = line.strip_prefix(b"# ") {
                let header = String::from_utf8_lossy(header);
                match header.split_once(' ') {
                    Some(("branch.oid", commit)) if commit != "(initial)" => status.commit = Some(commit.to_owned()),
                    Some(("branch.head", name)) if name != "(detached)" => status.branch = Some(name.to_owned()),
                    _ => {}
                }
                continue;
            }
            // Fields before the path: of a change, of a conflict, of an untracked file.
            let fields = match line.first() {
                Some(b'1') => 8,
                Some(b'u') => 10,
                Some(b'?') => 1,
                _ => bail!(unexpected()),
            };
            let name = line.splitn(fields + 1, |&byte| byte == b' ').nth(fields).with_context(unexpected)?;
            // A repository inside this one that is not a submodule ends with a slash.
            status.changed.insert(name.strip_suffix(b"/").unwrap_or(name).to_vec(), None);
        }
        Ok(status)
    }
}

/// A file of the index.
struct Entry<'a> {
    path: &'a [u8],
    object: &'a str,
    is_submodule: bool,
    /// The flag of `git update-index` by which git overlooks changes of it: `assume-unchanged` or `skip-worktree`. A sparse
    /// checkout sets the latter for files that it leaves out.
    overlooked: Option<&'static str>,
}

impl<'a> Entry<'a> {
    /// Reads lines such as `H 100644 <object> 0<tab><path>`.
    fn all(output: &'a [u8]) -> impl Iterator<Item = Result<Self>> {
        pieces(output).map(|line| {
            let unexpected = || format!("unexpected output of git ls-files: {:?}", String::from_utf8_lossy(line));
            let tab = line.iter().position(|&byte| byte == b'\t').with_context(unexpected)?;
            let what = str::from_utf8(&line[..tab]).with_context(unexpected)?;
            let [tag, mode, object, _] = what.split(' ').collect::<Vec<_>>()[..] else { bail!(unexpected()) };
            let overlooked = match tag {
                "S" => Some("skip-worktree"),
                tag => tag.starts_with(char::is_lowercase).then_some("assume-unchanged"),
            };
            Ok(Self { path: &line[tab + 1..], object, is_submodule: mode == "160000", overlooked })
        })
    }
}

/// What is checked out in a submodule's folder; none where nothing is.
async fn submodule(repository: &Path, name: &Path, filters: Filters) -> Result<Option<Nested>> {
    let folder = &repository.join(name);
    if let Some(tree) = nested(folder, filters).await? {
        return Ok(Some(tree));
    }
    // Without a folder, or with a file in its place, git reports a change.
    let has_files = look(folder)?.is_some_and(|data| data.is_dir()) && fs_err::read_dir(folder)?.next().is_some();
    ensure!(
        !has_files,
        "the folder of the submodule {} has files, but no repository, so the version cannot name them\n  \
         type: rm -r {} && git -C {} submodule update --init {}",
        folder.display(),
        quoted(folder),
        quoted(repository),
        quoted(name)
    );
    Ok(None)
}

/// The working tree of a repository inside another one; none where this is none.
async fn nested(folder: &Path, filters: Filters) -> Result<Option<Nested>> {
    if look(&folder.join(".git"))?.is_none() {
        return Ok(None);
    }
    let tree = Box::pin(Tree::of(folder, filters)).await;
    let tree = tree.with_context(|| format!("read {}, a repository inside the project's", folder.display()))?;
    Ok(Some(Box::new(tree)))
}

/// A hash of names and contents; none without any.
async fn hash(
    repository: &Path,
    changed: BTreeMap<Vec<u8>, Option<Nested>>,
    filters: Filters,
) -> Result<Option<String>> {
    if changed.is_empty() {
        return Ok(None);
    }
    let mut hasher = Sha256::new();
    for (name, tree) in changed {
        hasher.update(&name);
        hasher.update([0]);
        let place = repository.join(path(&name));
        match look(&place)? {
            None => hasher.update(b"gone"),
            Some(data) if data.is_symlink() => {
                hasher.update(b"link ");
                hasher.update(fs_err::read_link(&place)?.as_os_str().as_encoded_bytes());
            }
            Some(data) if data.is_file() => {
                hasher.update(if is_executable(&data) { &b"program "[..] } else { b"file " });
                add_file(&mut hasher, &place)?;
            }
            Some(data) if data.is_dir() => {
                let tree = match tree {
                    Some(tree) => Some(tree),
                    None => nested(&place, filters).await?,
                };
                hasher.update(b"folder ");
                for text in tree.into_iter().flat_map(|tree| [tree.commit, tree.changes]) {
                    hasher.update(text.unwrap_or_default());
                    hasher.update([0]);
                }
            }
            Some(_) => bail!(
                "{} is no file, link or folder, so the version cannot name its content\n  type: rm {}",
                place.display(),
                quoted(&place)
            ),
        }
        hasher.update([0]);
    }
    Ok(Some(hex::encode(&hasher.finalize()[..4])))
}

/// Why files that git overlooks stop the toolkit, and what lets git look at them.
fn see_again(repository: &Path, overlooked: &[(&str, &Path)]) -> String {
    let (flag, first) = overlooked[0];
    let git = format!("git -C {}", quoted(repository));
    let names: Vec<_> = overlooked.iter().filter(|(of, _)| *of == flag).map(|(_, name)| quoted(name)).collect();
    let (more, command) = match names.len() - 1 {
        0 => (String::new(), format!("{git} update-index --no-{flag} {}", names[0])),
        // git sets this flag for every file where `core.ignoreStat` is set.
        more if flag == "assume-unchanged" => (
            format!(" and of {more} other files"),
            format!("{git} ls-files -z | {git} update-index -z --no-{flag} --stdin"),
        ),
        more => (format!(" and of {more} other files"), format!("{git} update-index --no-{flag} {}", names.join(" "))),
    };
    format!(
        "git was told to overlook changes of {}{more}, so the version cannot name what is built\n  type: {command}",
        repository.join(first).display()
    )
}

/// Why a folder stops the toolkit, and what lets git read it.
fn unreadable(folder: &Path) -> String {
    let is_own = look(folder).ok().flatten().is_some_and(|data| data.uid() == rustix::process::geteuid().as_raw());
    let place = quoted(folder);
    let command = match is_own {
        true => format!("type: chmod u+rwx {place}"),
        false => format!("let git ignore it, or type: sudo chown -R $(id -u) {place}"),
    };
    let folder = folder.display();
    format!("{folder} cannot be read by this user, so the version cannot name its files\n  {command}")
}

/// The same command with every filter that is configured turned off, the user's own included: Git LFS, for one, runs programs
/// that the repository's configuration names.
async fn without_filters(repository: &Path, command: Cmd) -> Result<Cmd> {
    let configured = within(repository, &["config", "--null", "--name-only", "--get-regexp", r"^filter\."]);
    let configured = ask(configured).await?.unwrap_or_default();
    // `filter.<name>.clean`; a name may contain dots and `=`, so the variables of the environment are used instead of `-c`.
    let names: BTreeSet<&[u8]> = pieces(&configured)
        .filter_map(|key| {
            let name = key.strip_prefix(b"filter.")?;
            Some(&name[..name.iter().rposition(|&byte| byte == b'.')?])
        })
        .collect();
    let off = [("clean", ""), ("process", ""), ("required", "false")];
    let settings = names.iter().flat_map(|name| off.map(|(what, value)| (*name, what, value)));
    let (mut command, mut count) = (command, 0);
    for (name, what, value) in settings {
        let key = OsString::from_vec([b"filter.", name, b".", what.as_bytes()].concat());
        command = command.env(format!("GIT_CONFIG_KEY_{count}"), key).env(format!("GIT_CONFIG_VALUE_{count}"), value);
        count += 1;
    }
    Ok(command.env("GIT_CONFIG_COUNT", count.to_string()))
}

/// A command in this repository. A broken `.git` of a nested one must not make git look at the one around it.
fn within(repository: &Path, args: &[&str]) -> Cmd {
    let command = git(repository, args);
    match repository.parent() {
        Some(parent) => command.env("GIT_CEILING_DIRECTORIES", parent),
        None => command,
    }
}

/// What is at a path itself; none where nothing is.
fn look(place: &Path) -> io::Result<Option<Metadata>> {
    match fs_err::symlink_metadata(place) {
        Ok(data) => Ok(Some(data)),
        // The latter below a file that has taken the place of a folder.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_executable(data: &Metadata) -> bool {
    data.permissions().mode() & 0o111 != 0
}

/// The pieces of output that end with a zero byte each.
pub fn pieces(output: &[u8]) -> impl Iterator<Item = &[u8]> {
    output.split(|&byte| byte == 0).filter(|piece| !piece.is_empty())
}
