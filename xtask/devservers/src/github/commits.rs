//! Commits: a graph that a test makes or that is read from a git folder.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::answer::{Answer, Outcome};
use super::call::{Call, node, now};
use super::repository::{Repository, user};
use super::route::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::new("GET", "/commits", "contents:read", list),
    Route::new("GET", "/commits/{ref}", "contents:read", get),
    Route::new("GET", "/git/commits/{commit_sha}", "contents:read", get_git),
];

/// All commits by their hashes.
#[derive(Default)]
pub(super) struct Commits {
    by_hash: BTreeMap<String, Commit>,
}

/// A commit.
#[derive(Clone)]
pub(super) struct Commit {
    pub sha: String,
    parents: Vec<String>,
    tree: String,
    author: String,
    email: String,
    pub date: String,
    message: String,
    /// Its place in the order in which they were made: parents come first.
    order: usize,
}

impl Commits {
    /// Makes one with a hash of its own.
    pub fn add(&mut self, parents: &[String], message: &str) -> String {
        let order = self.by_hash.len();
        let hash = |text: &str| hex::encode(Sha256::digest(text))[..40].to_owned();
        let sha = hash(&format!("{order} {parents:?} {message}"));
        let commit = Commit {
            sha: sha.clone(),
            parents: parents.to_vec(),
            tree: hash(&format!("tree of {sha}")),
            author: "A Developer".to_owned(),
            email: "developer@example.com".to_owned(),
            date: now(),
            message: message.to_owned(),
            order,
        };
        self.by_hash.insert(sha.clone(), commit);
        sha
    }

    /// The one that a whole hash, or the beginning of one, names.
    pub fn find(&self, hash: &str) -> Option<&Commit> {
        if hash.len() < 7 {
            return None;
        }
        let mut found = self.by_hash.range(hash.to_owned()..).map(|(_, commit)| commit);
        let mut found = found.by_ref().take_while(|commit| commit.sha.starts_with(hash));
        found.next().filter(|_| found.next().is_none())
    }

    /// A commit and all before it.
    pub fn ancestors(&self, sha: &str) -> HashSet<&str> {
        let mut seen = HashSet::new();
        let mut open: Vec<&str> = self.by_hash.get(sha).map(|commit| commit.sha.as_str()).into_iter().collect();
        while let Some(sha) = open.pop() {
            if seen.insert(sha) {
                open.extend(self.by_hash[sha].parents.iter().map(String::as_str));
            }
        }
        seen
    }

    /// Those of a set, oldest first.
    pub fn ordered<'a>(&'a self, hashes: impl IntoIterator<Item = &'a str>) -> Vec<&'a Commit> {
        let mut commits: Vec<&Commit> = hashes.into_iter().filter_map(|sha| self.by_hash.get(sha)).collect();
        commits.sort_by_key(|commit| commit.order);
        commits
    }

    /// Reads all commits of a git folder that its refs lead to, and these refs.
    pub fn read(&mut self, folder: &Path) -> Result<BTreeMap<String, String>> {
        let format = "--format=%H%x00%P%x00%T%x00%an%x00%ae%x00%cI%x00%B%x01";
        let log = git(folder, &["log", "--all", "--topo-order", "--reverse", format])?;
        for record in log.split('\u{1}').map(str::trim_start).filter(|record| !record.is_empty()) {
            let fields: Vec<&str> = record.splitn(7, '\0').collect();
            let [sha, parents, tree, author, email, date, message] = fields[..] else {
                anyhow::bail!("git log of {} says {record:?}", folder.display())
            };
            let date: jiff::Timestamp = date.parse().context("read a commit's date")?;
            let order = self.by_hash.len();
            let owned = str::to_owned;
            let commit = Commit {
                sha: owned(sha),
                parents: parents.split_whitespace().map(owned).collect(),
                tree: owned(tree),
                author: owned(author),
                email: owned(email),
                date: date.to_string(),
                message: message.trim_end().to_owned(),
                order,
            };
            self.by_hash.entry(owned(sha)).or_insert(commit);
        }
        let refs = git(
            folder,
            &["for-each-ref", "--format=%(refname) %(objectname) %(*objectname)", "refs/heads", "refs/tags"],
        )?;
        let reference = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            // A tag with a message is an object of its own; the commit that it names comes last.
            Some((words.first()?.to_string(), words.last()?.to_string()))
        };
        Ok(refs.lines().filter_map(reference).collect())
    }
}

impl Commit {
    /// As the commits' operations show it.
    pub fn value(&self, repository: &Repository) -> Value {
        let person = json!({"name": self.author, "email": self.email, "date": self.date});
        let user = user(&repository.urls.api, "deployer", 583_231);
        let url = repository.url(&format!("/commits/{}", self.sha));
        json!({
            "url": url, "sha": self.sha, "node_id": node("C", self.order as u64), "html_url": self.html(repository),
            "comments_url": format!("{url}/comments"), "author": user, "committer": user,
            "parents": self.parents(repository),
            "commit": {
                "url": repository.url(&format!("/git/commits/{}", self.sha)), "author": person, "committer": person,
                "message": self.message, "comment_count": 0, "tree": self.tree(repository),
                "verification": unsigned(),
            },
        })
    }

    /// As a workflow's run shows it.
    pub fn head(&self) -> Value {
        let person = json!({"name": self.author, "email": self.email});
        json!({
            "id": self.sha, "tree_id": self.tree, "message": self.message, "timestamp": self.date, "author": person,
            "committer": person,
        })
    }

    fn parents(&self, repository: &Repository) -> Vec<Value> {
        let parent = |sha: &String| {
            let html = repository.html(&format!("/commit/{sha}"));
            json!({"sha": sha, "url": repository.url(&format!("/commits/{sha}")), "html_url": html})
        };
        self.parents.iter().map(parent).collect()
    }

    fn tree(&self, repository: &Repository) -> Value {
        json!({"sha": self.tree, "url": repository.url(&format!("/git/trees/{}", self.tree))})
    }

    fn html(&self, repository: &Repository) -> String {
        repository.html(&format!("/commit/{}", self.sha))
    }
}

fn unsigned() -> Value {
    json!({"verified": false, "reason": "unsigned", "signature": null, "payload": null, "verified_at": null})
}

fn list(call: &Call, repository: &mut Repository) -> Outcome {
    let start = call.query("sha").unwrap_or(repository.default_branch());
    let start = repository.resolve(start).ok_or_else(Answer::not_found)?;
    let commits = repository.commits.ordered(repository.commits.ancestors(&start));
    let since = call.query("since").unwrap_or_default();
    let commits = commits.iter().rev().filter(|commit| commit.date.as_str() >= since);
    Ok(Answer::page(call, commits.map(|commit| commit.value(repository)).collect()))
}

fn get(call: &Call, repository: &mut Repository) -> Outcome {
    let name = call.parameter("ref");
    let no_commit = || Answer::error(422, &format!("No commit found for SHA: {name}"));
    let sha = repository.resolve(name).ok_or_else(no_commit)?;
    let commit = repository.commits.find(&sha).ok_or_else(no_commit)?;
    let mut value = commit.value(repository);
    value["stats"] = json!({"total": 0, "additions": 0, "deletions": 0});
    value["files"] = json!([]);
    Ok(Answer::ok(value))
}

fn get_git(call: &Call, repository: &mut Repository) -> Outcome {
    let sha = call.parameter("commit_sha");
    let commit = repository.commits.find(sha).filter(|commit| commit.sha == sha).ok_or_else(Answer::not_found)?;
    let person = json!({"name": commit.author, "email": commit.email, "date": commit.date});
    Ok(Answer::ok(json!({
        "sha": sha, "node_id": node("C", commit.order as u64), "url": call.address(), "html_url": commit.html(repository),
        "author": person, "committer": person, "message": commit.message, "tree": commit.tree(repository),
        "parents": commit.parents(repository), "verification": unsigned(),
    })))
}

fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().context("run git")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git {arguments:?} in {}: {error}", folder.display());
    String::from_utf8(output.stdout).context("read what git says")
}

/// The hashes that are in both sets and of which no later one is: usually one, the merge base.
pub(super) fn merge_base(commits: &Commits, one: &str, other: &str) -> Option<String> {
    let (one, other) = (commits.ancestors(one), commits.ancestors(other));
    let common: BTreeSet<&str> = one.intersection(&other).copied().collect();
    commits.ordered(common).last().map(|commit| commit.sha.clone())
}
