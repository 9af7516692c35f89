//! The commits between two commits.

use anyhow::Result;
use camino::Utf8Path;

use super::{ask, git};

/// A commit, as a list of changes shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// 40 hexadecimal digits.
    pub commit: String,
    /// First line of its message.
    pub subject: String,
    /// The rest of its message.
    pub body: String,
}

/// The newest `most` commits that lead to `head` and not to `base`, newest first, without merges. Without `base`: of all.
pub async fn changes(root: &Utf8Path, base: Option<&str>, head: &str, most: usize) -> Result<Vec<Change>> {
    let most = format!("--max-count={most}");
    let mut args = vec!["rev-list", "--no-merges", "--encoding=UTF-8", "--format=%x01%s%x00%b%x02", &most, head];
    let not_base = base.map(|base| format!("^{base}"));
    args.extend(not_base.as_deref());
    args.push("--");
    let said = git(root, &args).capture_bytes().await?;
    let said = String::from_utf8_lossy(&said);
    // Each begins with the line `commit <sha>`. A message has no such bytes: git ends it at a zero byte, and the others are not text.
    let read = |part: &str| {
        let (head, message) = part.split_once('\u{1}')?;
        let commit = head.trim().strip_prefix("commit ")?.to_owned();
        let (subject, body) = message.split_once('\0').unwrap_or((message, ""));
        Some(Change { commit, subject: subject.trim().to_owned(), body: body.trim().to_owned() })
    };
    Ok(said.split('\u{2}').filter_map(read).collect())
}

/// Whether `descendant` is `commit` or descends from it. None where the repository does not have `commit`, as in a shallow clone.
pub async fn descends(root: &Utf8Path, commit: &str, descendant: &str) -> Result<Option<bool>> {
    let there = ask(git(root, &["rev-parse", "--quiet", "--verify", &format!("{commit}^{{commit}}")])).await?;
    if there.is_none() {
        return Ok(None);
    }
    Ok(Some(ask(git(root, &["merge-base", "--is-ancestor", commit, descendant])).await?.is_some()))
}
