//! Branches, tags and other names of commits.

use serde_json::{Value, json};

use super::answer::{Answer, Outcome};
use super::call::{Call, node};
use super::commits::merge_base;
use super::repository::Repository;
use super::route::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::new("GET", "/git/ref/{ref}", "contents:read", get),
    Route::new("GET", "/git/matching-refs/{ref}", "contents:read", matching),
    Route::new("POST", "/git/refs", "contents:write", create),
    Route::new("PATCH", "/git/refs/{ref}", "contents:write", patch),
    Route::new("DELETE", "/git/refs/{ref}", "contents:write", delete),
    Route::new("GET", "/branches", "contents:read", branches),
    Route::new("GET", "/branches/{branch}", "contents:read", branch),
    Route::new("GET", "/tags", "contents:read", tags),
];

/// GitHub's refusal of a branch or tag that looks like a commit.
pub(super) const HEX_NAME: &str = "GH002: Sorry, branch or tag names consisting of 40 hex characters are not allowed.";

impl Repository {
    /// The commit that a branch, a tag, a ref or a hash names.
    pub fn resolve(&self, name: &str) -> Option<String> {
        let full = [name.to_owned(), format!("refs/{name}"), format!("refs/heads/{name}"), format!("refs/tags/{name}")];
        let named = full.iter().find_map(|full| self.refs.get(full).cloned());
        named.or_else(|| self.commits.find(name).map(|commit| commit.sha.clone()))
    }

    /// Refuses a name that GitHub does not take.
    pub fn check_name(name: &str) -> Result<(), Answer> {
        let short = name.trim_start_matches("refs/heads/").trim_start_matches("refs/tags/");
        let wrong = [' ', '~', '^', ':', '?', '*', '[', '\\'].iter().any(|&sign| short.contains(sign));
        if short.len() == 40 && short.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Answer::error(422, HEX_NAME));
        }
        if wrong || short.is_empty() || short.contains("..") || short.ends_with(".lock") || short.ends_with('/') {
            return Err(Answer::error(422, &format!("{name} is not a valid ref name.")));
        }
        Ok(())
    }

    fn reference(&self, name: &str) -> Option<Value> {
        let sha = self.refs.get(name)?;
        let url = self.url(&format!("/git/{name}"));
        let object = json!({"type": "commit", "sha": sha, "url": self.url(&format!("/git/commits/{sha}"))});
        Some(json!({"ref": name, "node_id": node("REF", self.id), "url": url, "object": object}))
    }
}

fn get(call: &Call, repository: &mut Repository) -> Outcome {
    let name = format!("refs/{}", call.parameter("ref"));
    repository.reference(&name).map(Answer::ok).ok_or_else(Answer::not_found)
}

fn matching(call: &Call, repository: &mut Repository) -> Outcome {
    let prefix = format!("refs/{}", call.parameter("ref"));
    let names = repository.refs.keys().filter(|name| name.starts_with(&prefix));
    Ok(Answer::ok(names.filter_map(|name| repository.reference(name)).collect()))
}

fn create(call: &Call, repository: &mut Repository) -> Outcome {
    let (name, sha) = (call.text("ref").unwrap_or_default(), call.text("sha").unwrap_or_default());
    if !name.starts_with("refs/") || name.matches('/').count() < 2 {
        return Err(Answer::error(422, "Reference name must start with 'refs/' and have at least two slashes."));
    }
    Repository::check_name(name)?;
    if repository.refs.contains_key(name) {
        return Err(Answer::error(422, "Reference already exists"));
    }
    repository.need_commit(sha)?;
    repository.may_change_ref(call, name, "creation")?;
    repository.refs.insert(name.to_owned(), sha.to_owned());
    repository.happened(call.token.kind, "push", None, name, json!({"ref": name, "created": true}));
    repository.reference(name).map(Answer::created).ok_or_else(Answer::not_found)
}

fn patch(call: &Call, repository: &mut Repository) -> Outcome {
    let name = format!("refs/{}", call.parameter("ref"));
    let sha = call.text("sha").unwrap_or_default();
    let does_not_exist = || Answer::error(422, "Reference does not exist");
    let old = repository.refs.get(&name).cloned().ok_or_else(does_not_exist)?;
    repository.need_commit(sha)?;
    let forward = merge_base(&repository.commits, &old, sha).as_deref() == Some(old.as_str());
    if !forward && !call.flag("force", false) {
        return Err(Answer::error(422, "Update is not a fast forward"));
    }
    repository.may_change_ref(call, &name, "update")?;
    repository.refs.insert(name.clone(), sha.to_owned());
    repository.happened(call.token.kind, "push", None, &name, json!({"ref": name, "created": false}));
    repository.reference(&name).map(Answer::ok).ok_or_else(Answer::not_found)
}

fn delete(call: &Call, repository: &mut Repository) -> Outcome {
    let name = format!("refs/{}", call.parameter("ref"));
    if !repository.refs.contains_key(&name) {
        return Err(Answer::error(422, "Reference does not exist"));
    }
    if repository.releases.locks(&name) {
        return Err(Answer::error(422, "Cannot delete a tag of an immutable release."));
    }
    repository.may_change_ref(call, &name, "deletion")?;
    repository.refs.remove(&name);
    Ok(Answer::empty())
}

fn branches(call: &Call, repository: &mut Repository) -> Outcome {
    let branch = |(name, sha): (&String, &String)| {
        let name = name.strip_prefix("refs/heads/")?;
        let commit = json!({"sha": sha, "url": repository.url(&format!("/commits/{sha}"))});
        Some(json!({"name": name, "commit": commit, "protected": repository.is_protected(name)}))
    };
    Ok(Answer::page(call, repository.refs.iter().filter_map(branch).collect()))
}

fn branch(call: &Call, repository: &mut Repository) -> Outcome {
    let name = call.parameter("branch");
    let none = || Answer::error(404, "Branch not found");
    let sha = repository.refs.get(&format!("refs/heads/{name}")).ok_or_else(none)?;
    let commit = repository.commits.find(sha).ok_or_else(none)?;
    let url = repository.url(&format!("/branches/{name}"));
    let protected = repository.is_protected(name);
    Ok(Answer::ok(json!({
        "name": name, "commit": commit.value(repository), "protected": protected, "protection": {"enabled": protected},
        "protection_url": format!("{url}/protection"),
        "_links": {"self": url, "html": repository.html(&format!("/tree/{name}"))},
    })))
}

fn tags(call: &Call, repository: &mut Repository) -> Outcome {
    let tag = |(name, sha): (&String, &String)| {
        let name = name.strip_prefix("refs/tags/")?;
        let archive = |kind: &str| repository.url(&format!("/{kind}/refs/tags/{name}"));
        let commit = json!({"sha": sha, "url": repository.url(&format!("/commits/{sha}"))});
        Some(json!({
            "name": name, "commit": commit, "zipball_url": archive("zipball"), "tarball_url": archive("tarball"),
            "node_id": node("REF", repository.id),
        }))
    };
    Ok(Answer::page(call, repository.refs.iter().rev().filter_map(tag).collect()))
}

impl Repository {
    fn need_commit(&self, sha: &str) -> Result<(), Answer> {
        let found = self.commits.find(sha).is_some_and(|commit| commit.sha == sha);
        if found { Ok(()) } else { Err(Answer::error(422, "Object does not exist")) }
    }
}
