//! Releases.

use serde_json::{Value, json};

use super::answer::{Answer, Outcome};
use super::assets::Asset;
use super::call::{Call, by_id, change, node, now};
use super::refs::HEX_NAME;
use super::repository::Repository;
use super::route::Route;
use super::tokens::Level;

pub(super) const ROUTES: &[Route] = &[
    Route::new("GET", "/releases", "contents:read", list),
    Route::new("POST", "/releases", "contents:write", create),
    Route::new("GET", "/releases/latest", "contents:read", latest),
    Route::new("GET", "/releases/tags/{tag}", "contents:read", by_tag),
    Route::new("GET", "/releases/{release_id}", "contents:read", get),
    Route::new("PATCH", "/releases/{release_id}", "contents:write", patch),
    Route::new("DELETE", "/releases/{release_id}", "contents:write", delete),
];

/// The releases, oldest first, and their assets.
#[derive(Default)]
pub(super) struct Releases {
    pub list: Vec<Value>,
    pub assets: Vec<Asset>,
    /// The one that was marked as the latest.
    latest: Option<u64>,
    /// Whether what is published from now on cannot be changed.
    pub immutable: bool,
}

impl Releases {
    /// Whether a release of this tag is immutable.
    pub fn locks(&self, reference: &str) -> bool {
        let tag = reference.strip_prefix("refs/tags/");
        self.list.iter().any(|release| release["immutable"] == true && release["tag_name"].as_str() == tag)
    }

    /// The id of the latest: the marked one, otherwise the newest that is neither draft nor pre-release.
    fn latest(&self) -> Option<u64> {
        let full = |release: &&Value| release["draft"] == false && release["prerelease"] == false;
        let marked = self.list.iter().filter(full).find(|release| release["id"].as_u64() == self.latest);
        marked.or_else(|| self.list.iter().rfind(full)).and_then(|release| release["id"].as_u64())
    }
}

impl Repository {
    /// A release with its assets.
    pub fn release(&self, id: u64) -> Option<Value> {
        let mut release = self.releases.list.iter().find(|release| release["id"] == id)?.clone();
        let assets = self.releases.assets.iter().filter(|asset| asset.release == id);
        release["assets"] = assets.map(|asset| asset.value.clone()).collect();
        Some(release)
    }

    fn release_answer(&self, id: Option<u64>) -> Outcome {
        id.and_then(|id| self.release(id)).map(Answer::ok).ok_or_else(Answer::not_found)
    }

    /// Publishes what was a draft, or is new.
    fn publish(&mut self, call: &Call, id: u64) -> Result<(), Answer> {
        let immutable = self.releases.immutable;
        let release = by_id(&mut self.releases.list, id)?;
        release["published_at"] = now().into();
        release["immutable"] = immutable.into();
        let tag = release["tag_name"].as_str().unwrap_or_default().to_owned();
        let target = release["target_commitish"].as_str().unwrap_or_default().to_owned();
        let name = format!("refs/tags/{tag}");
        if !self.refs.contains_key(&name) {
            let sha = self.resolve(&target).ok_or_else(|| Answer::invalid("Release", "target_commitish", "invalid"))?;
            self.may_change_ref(call, &name, "creation")?;
            self.refs.insert(name.clone(), sha);
            self.happened(call.token.kind, "push", None, &name, json!({"ref": name, "created": true}));
        }
        self.release_event(call, id, "published");
        let kind = if self.release(id).is_some_and(|release| release["prerelease"] == true) {
            "prereleased"
        } else {
            "released"
        };
        self.release_event(call, id, kind);
        Ok(())
    }

    fn release_event(&mut self, call: &Call, id: u64, action: &str) {
        let Some(release) = self.release(id) else { return };
        let reference = format!("refs/tags/{}", release["tag_name"].as_str().unwrap_or_default());
        self.happened(call.token.kind, "release", Some(action), &reference, json!({"release": release}));
    }

    /// Marks a release as the latest, where the request says so or, without a word of it, where it is newly published.
    fn mark(&mut self, call: &Call, id: u64, newly: bool) {
        let full = self.release(id).is_some_and(|release| release["draft"] == false && release["prerelease"] == false);
        match call.text("make_latest") {
            Some("true") => self.releases.latest = Some(id),
            Some("legacy") => self.releases.latest = None,
            None if newly && full => self.releases.latest = Some(id),
            _ => {}
        }
    }

    fn check_tag(&self, tag: &str, id: Option<u64>) -> Result<(), Answer> {
        Self::check_name(&format!("refs/tags/{tag}")).map_err(|_| match tag.len() {
            40 => Answer::custom("Release", "tag_name", HEX_NAME),
            _ => Answer::custom("Release", "tag_name", "tag_name is not a valid tag"),
        })?;
        let other = |release: &&Value| release["id"].as_u64() != id && release["draft"] == false;
        let taken = self.releases.list.iter().filter(other).any(|release| release["tag_name"] == tag);
        if taken { Err(Answer::invalid("Release", "tag_name", "already_exists")) } else { Ok(()) }
    }
}

fn list(call: &Call, repository: &mut Repository) -> Outcome {
    let drafts = sees_drafts(call);
    let seen = repository.releases.list.iter().rev().filter(|release| drafts || release["draft"] == false);
    let ids = seen.filter_map(|release| release["id"].as_u64());
    Ok(Answer::page(call, ids.filter_map(|id| repository.release(id)).collect()))
}

fn latest(_: &Call, repository: &mut Repository) -> Outcome {
    repository.release_answer(repository.releases.latest())
}

fn by_tag(call: &Call, repository: &mut Repository) -> Outcome {
    let tag = call.parameter("tag");
    let mut published = repository.releases.list.iter().filter(|release| release["draft"] == false);
    repository
        .release_answer(published.find(|release| release["tag_name"] == tag).and_then(|release| release["id"].as_u64()))
}

fn get(call: &Call, repository: &mut Repository) -> Outcome {
    let id = call.id("release_id")?;
    if by_id(&mut repository.releases.list, id)?["draft"] == true && !sees_drafts(call) {
        return Err(Answer::not_found());
    }
    repository.release_answer(Some(id))
}

/// Who may write sees drafts.
fn sees_drafts(call: &Call) -> bool {
    call.token.may([("contents", Level::Write)].into_iter()).is_ok()
}

fn create(call: &Call, repository: &mut Repository) -> Outcome {
    let tag = call.text("tag_name").unwrap_or_default();
    repository.check_tag(tag, None)?;
    let target = call.text("target_commitish").unwrap_or(repository.default_branch()).to_owned();
    let tag_exists = repository.refs.contains_key(&format!("refs/tags/{tag}"));
    if !tag_exists && repository.resolve(&target).is_none() {
        return Err(Answer::invalid("Release", "target_commitish", "invalid"));
    }
    let (draft, prerelease) = (call.flag("draft", false), call.flag("prerelease", false));
    if call.text("make_latest") == Some("true") && (draft || prerelease) {
        return Err(Answer::custom("Release", "make_latest", "drafts and prereleases cannot be set as latest"));
    }
    let id = repository.next_id();
    let commit = repository.resolve(if tag_exists { tag } else { &target });
    let commit = commit.and_then(|sha| repository.commits.find(&sha)).map(|commit| commit.date.clone());
    let url = repository.url(&format!("/releases/{id}"));
    let uploads = url.replacen(&repository.urls.api, &repository.urls.uploads, 1);
    let archive = |kind: &str| repository.url(&format!("/{kind}/{tag}"));
    let release = json!({
        "url": url, "html_url": repository.html(&format!("/releases/tag/{tag}")), "assets_url": format!("{url}/assets"),
        "upload_url": format!("{uploads}/assets{{?name,label}}"), "tarball_url": archive("tarball"),
        "zipball_url": archive("zipball"), "id": id, "node_id": node("RE", id), "tag_name": tag,
        "target_commitish": target, "name": call.body["name"], "body": call.body["body"], "draft": draft,
        "prerelease": prerelease, "immutable": false, "created_at": commit, "published_at": null, "updated_at": now(),
        "author": repository.asker(call), "assets": [],
    });
    repository.releases.list.push(release);
    if !draft {
        repository.release_event(call, id, "created");
        if let Err(refused) = repository.publish(call, id) {
            repository.releases.list.pop();
            return Err(refused);
        }
    }
    repository.mark(call, id, true);
    Ok(Answer { status: 201, ..repository.release_answer(Some(id))? }.header("location", &url))
}

fn patch(call: &Call, repository: &mut Repository) -> Outcome {
    let id = call.id("release_id")?;
    let before = repository.release(id).ok_or_else(Answer::not_found)?;
    if let Some(tag) = call.text("tag_name") {
        if before["immutable"] == true && before["tag_name"] != tag {
            return Err(Answer::custom("Release", "tag_name", "tag_name cannot be changed on an immutable release"));
        }
        repository.check_tag(tag, Some(id))?;
    }
    if call.body["draft"] == false && before["draft"] == true {
        repository.check_tag(call.text("tag_name").or(before["tag_name"].as_str()).unwrap_or_default(), Some(id))?;
    }
    let will_be = |name: &str| call.flag(name, before[name] == true);
    if call.text("make_latest") == Some("true") && (will_be("draft") || will_be("prerelease")) {
        return Err(Answer::custom("Release", "make_latest", "drafts and prereleases cannot be set as latest"));
    }
    let release = by_id(&mut repository.releases.list, id)?;
    change(release, &call.body, &["tag_name", "target_commitish", "name", "body", "draft", "prerelease"]);
    release["updated_at"] = now().into();
    let (draft, prerelease) = (release["draft"] == true, release["prerelease"] == true);
    if before["draft"] == true && !draft {
        if let Err(refused) = repository.publish(call, id) {
            *by_id(&mut repository.releases.list, id)? = before;
            return Err(refused);
        }
    } else if !draft {
        repository.release_event(call, id, "edited");
        if before["prerelease"] == true && !prerelease {
            repository.release_event(call, id, "released");
        }
        if before["prerelease"] == false && prerelease {
            repository.release_event(call, id, "prereleased");
        }
    }
    repository.mark(call, id, before["draft"] == true);
    repository.release_answer(Some(id))
}

fn delete(call: &Call, repository: &mut Repository) -> Outcome {
    let id = call.id("release_id")?;
    by_id(&mut repository.releases.list, id)?;
    repository.release_event(call, id, "deleted");
    // The tag stays.
    repository.releases.list.retain(|release| release["id"] != id);
    repository.releases.assets.retain(|asset| asset.release != id);
    Ok(Answer::empty())
}
