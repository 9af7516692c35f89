//! git: what is checked out, and what differs from it. Plumbing commands only, because the user's configuration changes what the
//! others print. Their output is bytes: a path need not be UTF-8.
//!
//! A repository's configuration can name programs, and the files of a tree decide which of them git runs. None of these commands
//! runs one, except for the [`Filters`] that a build of the tree asks for.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use camino::Utf8Path;

use super::cmd::Cmd;
use crate::config::FILE;
use crate::release::Source;

mod changes;
#[cfg(feature = "cloud")]
mod context;
#[cfg(feature = "cloud")]
pub mod log;
mod snapshot;
mod unnamed;

use self::changes::{Tree, pieces};
#[cfg(feature = "cloud")]
pub use self::context::Context;
pub use self::snapshot::Snapshot;
pub use self::unnamed::unnamed;

/// The largest file of a commit that is read as a whole, in bytes.
const LARGEST_FILE: u64 = 64 << 20;

/// How git's own command begins that makes it trust a repository of another user.
const TRUST: &str = "git config --global --add safe.directory ";

/// How git looks at the working tree, whatever the repository's configuration says.
const LOOK: &[&str] = &[
    // Programs that the repository's configuration names are not run.
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    // A folder of the tree that looks like a repository without a working tree brings a configuration of its own.
    "safe.bareRepository=explicit",
    // An edit is seen by the file's inode and the time of its change, too, not by size and date alone.
    "core.checkStat=default",
    "core.trustctime=true",
    // `Main.rs` is another file than `main.rs` where the system says so, also in a repository that comes from elsewhere.
    #[cfg(target_os = "linux")]
    "core.ignoreCase=false",
];

/// The checked-out commit.
pub struct Head {
    /// 40 hexadecimal digits.
    pub commit: String,
    /// First line of its message.
    pub subject: String,
}

/// The commit that is checked out in `root`.
pub async fn head(root: &Utf8Path) -> Result<Head> {
    let (_, commit) = checked_out(root).await?;
    let subject = text(root, &commit, "%s").await?;
    Ok(Head { commit, subject })
}

/// What becomes of the filters (gitattributes(5)) that the tree names for its files: programs that git runs to compare a file
/// with the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filters {
    /// git runs them. For commands that build or run what is in the tree.
    Run,
    /// None runs. For commands that only look. If git has to read a file to compare it, a file with a filter counts as changed.
    Off,
}

/// The checked-out source: a commit, or a commit and the hash of uncommitted changes. `root` may be a folder of the
/// repository: a change anywhere in the repository counts, because a build can read files beside its project.
pub async fn source(root: &Utf8Path, filters: Filters) -> Result<Source> {
    // First, because its error says what to do without a repository or a commit.
    let (repository, commit) = checked_out(root).await?;
    let (subject, tree) = tokio::try_join!(text(root, &commit, "%s"), tree(root, &repository, filters))?;
    ensure!(
        tree.commit.as_ref() == Some(&commit),
        "another commit was checked out while the toolkit read {commit}; type the same command again"
    );
    let short = &commit[..12];
    let version = tree.changes.map_or_else(|| short.to_owned(), |changes| format!("{short}-dirty-{changes}"));
    Ok(Source { version, commit, subject, branch: tree.branch })
}

/// The time of a commit: `HEAD`, or a commit's digits.
pub async fn commit_time(root: &Utf8Path, commit: &str) -> Result<jiff::Timestamp> {
    let seconds = text(root, commit, "%ct").await?;
    let seconds = seconds.parse().with_context(|| format!("unexpected output of git rev-list: {seconds:?}"))?;
    jiff::Timestamp::from_second(seconds).context("read the commit's time")
}

/// Whether a commit is in one of these references: whole names, or beginnings of names up to a `/`, or patterns with `*`.
pub async fn is_in(root: &Utf8Path, commit: &str, references: &[&str]) -> Result<bool> {
    let contains = ["for-each-ref", "--count=1", "--format=%(refname)", "--contains", commit];
    Ok(!git(root, &[&contains[..], references].concat()).capture().await?.is_empty())
}

/// Whether a commit is another one, or in its history. Of a commit that the clone does not have it is not.
#[cfg(feature = "cloud")]
pub async fn is_ancestor(root: &Utf8Path, commit: &str, of: &str) -> Result<bool> {
    let object = format!("{commit}^{{commit}}");
    let (code, _) = git(root, &["cat-file", "-e", &object]).capture_if(|code| code != 0).await?;
    Ok(code == 0 && ask(git(root, &["merge-base", "--is-ancestor", commit, of])).await?.is_some())
}

/// Whether the repository has a remote.
pub async fn has_remote(root: &Utf8Path) -> Result<bool> {
    Ok(!git(root, &["remote"]).capture().await?.is_empty())
}

/// The URL of the remote `origin`, without credentials.
pub async fn origin(root: &Utf8Path) -> Result<Option<String>> {
    let Some(url) = ask(git(root, &["config", "--get", "remote.origin.url"])).await? else { return Ok(None) };
    let url = String::from_utf8_lossy(&url);
    let url = url.trim_end_matches('\n');
    let url = match url.split_once("://") {
        Some((scheme, rest)) => {
            let rest = rest.split(['?', '#']).next().unwrap_or(rest);
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            format!("{scheme}://{}/{path}", host.rsplit('@').next().unwrap_or(host))
        }
        None => url.to_owned(),
    };
    Ok((!url.is_empty()).then_some(url))
}

/// The text of a file in a commit; none if the commit does not have it. The path is relative to `root`.
pub async fn show(root: &Utf8Path, commit: &str, path: &str) -> Result<Option<String>> {
    let Some(bytes) = show_bytes(root, commit, path).await? else { return Ok(None) };
    String::from_utf8(bytes).map(Some).with_context(|| format!("{path} of commit {commit} is not UTF-8"))
}

/// The same as bytes.
pub async fn show_bytes(root: &Utf8Path, commit: &str, path: &str) -> Result<Option<Vec<u8>>> {
    let listed = git(root, &["ls-tree", "-z", "--long", commit, "--", path]).capture().await?;
    // `<mode> blob <object> <bytes><tab><path>`
    let mut fields = listed.split_whitespace().skip(2);
    let (Some(object), Some(size)) = (fields.next(), fields.next()) else { return Ok(None) };
    ensure!(
        size.parse().is_ok_and(|size: u64| size <= LARGEST_FILE),
        "{path} of commit {commit} is no file, or one of more than {} MiB",
        LARGEST_FILE >> 20
    );
    git(root, &["cat-file", "blob", object]).capture_bytes().await.map(Some)
}

/// The paths of the files below a folder in a commit, relative to `root`; none where the commit does not have the folder.
pub async fn files(root: &Utf8Path, commit: &str, folder: &Utf8Path) -> Result<Vec<String>> {
    let folder = format!("{folder}/");
    let listed = git(root, &["ls-tree", "-r", "-z", "--name-only", commit, "--", &folder]).capture_bytes().await?;
    pieces(&listed)
        .map(|path| String::from_utf8(path.to_vec()).with_context(|| format!("a path in {folder} is not UTF-8")))
        .collect()
}

/// The newest commit that HEAD and the branch have in common: of the remote `origin`, else of this clone. None where there is
/// neither, or their histories have nothing in common, as in a shallow clone.
pub async fn merge_base(root: &Utf8Path, branch: &str) -> Result<Option<String>> {
    for reference in [format!("refs/remotes/origin/{branch}"), format!("refs/heads/{branch}")] {
        if ask(git(root, &["rev-parse", "--quiet", "--verify", &reference])).await?.is_some() {
            let base = ask(git(root, &["merge-base", "HEAD", &reference])).await?;
            return Ok(base.map(|base| String::from_utf8_lossy(&base).trim_end().to_owned()));
        }
    }
    Ok(None)
}

/// The project's folder below the top of its repository, with a `/` at its end; empty at the top, or without a repository.
pub async fn prefix(root: &Utf8Path) -> Result<String> {
    let (code, said) = git(root, &["rev-parse", "--show-prefix"]).capture_if(|code| code != 0).await?;
    Ok(if code == 0 { String::from_utf8_lossy(&said).trim_end_matches('\n').to_owned() } else { String::new() })
}

/// The files below a folder that git does not ignore, committed or not, sorted. `folder` is relative to `root`, as they are. Of a
/// repository inside it there is the folder alone.
pub async fn kept_files(root: &Utf8Path, folder: &Utf8Path) -> Result<BTreeSet<PathBuf>> {
    let folder = format!("{folder}/");
    let listed = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", &folder];
    let listed = git(root, &listed).capture_bytes().await?;
    Ok(pieces(&listed).map(|name| path(name).to_owned()).collect())
}

/// Whether git ignores this path.
pub async fn ignores(root: &Utf8Path, path: &str) -> Result<bool> {
    Ok(ask(git(root, &["check-ignore", "--quiet", "--", path])).await?.is_some())
}

/// What to type after an error of git, where its output says so.
pub fn remedy(error: &anyhow::Error) -> Option<String> {
    let said = format!("{error:#}");
    // git's own line for a repository that belongs to another user.
    if let Some(line) = said.lines().map(str::trim).find(|line| line.starts_with(TRUST)) {
        return Some(line.to_owned());
    }
    said.contains("not a git repository").then(|| "git init && git add . && git commit".to_owned())
}

/// The top folder of the repository that `root` is in, and the commit that is checked out there.
async fn checked_out(root: &Utf8Path) -> Result<(PathBuf, String)> {
    let asked = git(root, &["rev-parse", "--show-toplevel", "HEAD"]).capture_bytes().await;
    let said = asked.map_err(|error| {
        let tried = format!("read the commit that is checked out in {root}");
        match remedy(&error) {
            Some(command) if command.starts_with(TRUST) => {
                error.context(format!("{tried}; git refuses it to this user; if you trust it, type: {command}"))
            }
            _ => error.context(format!("{tried}; a new project needs one: git init && git add . && git commit")),
        }
    })?;
    // The folder's name may contain line breaks.
    let said = said.strip_suffix(b"\n").unwrap_or(&said);
    let end = said.iter().rposition(|&byte| byte == b'\n').context("unexpected output of git rev-parse")?;
    let commit = String::from_utf8_lossy(&said[end + 1..]).into_owned();
    ensure!(commit.len() >= 40, "unexpected output of git rev-parse: {commit:?}");
    let top = path(&said[..end]);
    ensure!(
        root_of(root)?.starts_with(top),
        "the repository of {root} has its working tree in another folder, {}\n  \
         type: git -C {} config --unset core.worktree",
        top.display(),
        quoted(root.as_std_path())
    );
    Ok((top.to_owned(), commit))
}

/// The working tree of the project's repository. Fails when git ignores the project there, as a repository of the home folder
/// does that ignores everything: no edit would be a change.
async fn tree(root: &Utf8Path, repository: &Path, filters: Filters) -> Result<Tree> {
    let (tree, ignored) = tokio::try_join!(Tree::of(repository, filters), ignores(root, FILE))?;
    let command = if root_of(root)? == repository {
        format!("git add --force {FILE} && git commit")
    } else {
        "git init && git add . && git commit".to_owned()
    };
    ensure!(
        !ignored,
        "{root} is in the repository {}, which ignores {FILE}, so the version cannot name what is built\n  type: {command}",
        repository.display()
    );
    Ok(tree)
}

/// The project's folder as git names it.
fn root_of(root: &Utf8Path) -> Result<PathBuf> {
    Ok(fs_err::canonicalize(root)?)
}

/// What a format of git's says of a commit.
async fn text(root: &Utf8Path, commit: &str, format: &str) -> Result<String> {
    let format = format!("--format={format}");
    let said = git(root, &["rev-list", "--max-count=1", "--encoding=UTF-8", &format, commit, "--"]).capture().await?;
    // Before it comes the line `commit <sha>`.
    Ok(said.split_once('\n').map(|(_, text)| text.to_owned()).unwrap_or_default())
}

/// The output of a command that answers "no" with exit code 1: then there is none. Every other code is an error.
async fn ask(command: Cmd) -> Result<Option<Vec<u8>>> {
    let (code, output) = command.capture_if(|code| code == 1).await?;
    Ok((code == 0).then_some(output))
}

/// A command of git in a folder.
fn git(folder: impl AsRef<Path>, args: &[&str]) -> Cmd {
    Cmd::new("git")
        // Another git command is not blocked by the lock of the index.
        .arg("--no-optional-locks")
        // A commit's digits stand for its own content, not for what refs/replace of this clone has instead.
        .arg("--no-replace-objects")
        .args(LOOK.iter().flat_map(|setting| ["-c", setting]))
        .args(args.iter().copied())
        .dir(folder)
        // In a partial clone git fetches what it lacks, by programs and from places that the configuration names.
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_ALLOW_PROTOCOL", "")
        // What git says is read.
        .env("LC_ALL", "C")
}

/// A path as git prints it with `-z`.
fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// A path as it is typed.
fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy();
    // Fails for a zero byte, which no path has.
    shlex::try_quote(&path).map(Cow::into_owned).unwrap_or_default()
}

#[cfg(test)]
mod tests;
