//! A repository: what it is, and all that it keeps.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::answer::{Answer, Outcome};
use super::call::{Call, change, node};
use super::events::Event;
use super::plan::Feature;
use super::route::{Route, Urls};
use super::{
    attestations, checks, commits, deployments, environments, issues, people, releases, rules, secrets, settings,
    variables, workflows,
};

pub(super) const ROUTES: &[Route] = &[
    Route::new("GET", "", "metadata:read", |_, repository| Ok(Answer::ok(repository.full()))),
    Route::new("PATCH", "", "administration:write", patch),
];

/// The rest of the addresses that a repository has, by their names.
const ADDRESSES: [(&str, &str); 38] = [
    ("archive_url", "/{archive_format}{/ref}"),
    ("assignees_url", "/assignees{/user}"),
    ("blobs_url", "/git/blobs{/sha}"),
    ("branches_url", "/branches{/branch}"),
    ("collaborators_url", "/collaborators{/collaborator}"),
    ("comments_url", "/comments{/number}"),
    ("commits_url", "/commits{/sha}"),
    ("compare_url", "/compare/{base}...{head}"),
    ("contents_url", "/contents/{+path}"),
    ("contributors_url", "/contributors"),
    ("deployments_url", "/deployments"),
    ("downloads_url", "/downloads"),
    ("events_url", "/events"),
    ("forks_url", "/forks"),
    ("git_commits_url", "/git/commits{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"),
    ("hooks_url", "/hooks"),
    ("issue_comment_url", "/issues/comments{/number}"),
    ("issue_events_url", "/issues/events{/number}"),
    ("issues_url", "/issues{/number}"),
    ("keys_url", "/keys{/key_id}"),
    ("labels_url", "/labels{/name}"),
    ("languages_url", "/languages"),
    ("merges_url", "/merges"),
    ("milestones_url", "/milestones{/number}"),
    ("notifications_url", "/notifications{?since,all,participating}"),
    ("pulls_url", "/pulls{/number}"),
    ("releases_url", "/releases{/id}"),
    ("stargazers_url", "/stargazers"),
    ("statuses_url", "/statuses/{sha}"),
    ("subscribers_url", "/subscribers"),
    ("subscription_url", "/subscription"),
    ("tags_url", "/tags"),
    ("teams_url", "/teams"),
    ("trees_url", "/git/trees{/sha}"),
    ("url", ""),
    ("svn_url", ""),
];

/// A repository and what it keeps.
pub(super) struct Repository {
    pub owner: String,
    pub name: String,
    pub id: u64,
    pub owner_id: u64,
    pub urls: Urls,
    /// What `PATCH` changes: the default branch among it.
    settings: Value,
    created: String,
    last_id: u64,
    pub commits: commits::Commits,
    /// `refs/heads/main` and its commit.
    pub refs: BTreeMap<String, String>,
    pub releases: releases::Releases,
    pub checks: checks::Checks,
    pub deployments: deployments::Deployments,
    pub rules: rules::Rules,
    pub workflows: workflows::Workflows,
    pub issues: issues::Issues,
    pub secrets: secrets::Secrets,
    pub variables: variables::Variables,
    pub environments: BTreeMap<String, environments::Environment>,
    pub actions: settings::Actions,
    pub attestations: attestations::Attestations,
    pub people: people::People,
    pub lacks: BTreeSet<Feature>,
    pub events: Vec<Event>,
}

impl Repository {
    pub fn new(owner: &str, name: &str, id: u64, urls: Urls) -> Self {
        Self {
            owner: owner.to_owned(),
            name: name.to_owned(),
            id,
            owner_id: id + 1,
            urls,
            settings: json!({
                "private": true, "default_branch": "main", "description": null, "homepage": null, "has_issues": true,
                "has_projects": false, "has_wiki": false, "archived": false, "allow_squash_merge": true,
                "allow_merge_commit": true, "allow_rebase_merge": true, "allow_auto_merge": false,
                "delete_branch_on_merge": false, "allow_update_branch": false,
            }),
            created: super::call::now(),
            last_id: id * 1000,
            commits: commits::Commits::default(),
            refs: BTreeMap::new(),
            releases: releases::Releases::default(),
            checks: checks::Checks::default(),
            deployments: deployments::Deployments::default(),
            rules: rules::Rules::default(),
            workflows: workflows::Workflows::default(),
            issues: issues::Issues::default(),
            secrets: secrets::Secrets::new(id),
            variables: variables::Variables::new(),
            environments: BTreeMap::new(),
            actions: settings::Actions::default(),
            attestations: attestations::Attestations::default(),
            people: people::People::default(),
            lacks: BTreeSet::new(),
            events: Vec::new(),
        }
    }

    /// An id that nothing of the repository has yet.
    pub fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub fn default_branch(&self) -> &str {
        self.settings["default_branch"].as_str().unwrap_or("main")
    }

    /// An address below this repository's in the API.
    pub fn url(&self, path: &str) -> String {
        format!("{}/repos/{}/{}{path}", self.urls.api, self.owner, self.name)
    }

    /// An address of a page for people.
    pub fn html(&self, path: &str) -> String {
        format!("https://github.com/{}/{}{path}", self.owner, self.name)
    }

    /// The user who asks.
    pub fn asker(&self, call: &Call) -> Value {
        let (login, id) = call.token.login();
        user(&self.urls.api, login, id)
    }

    /// As it stands in other things.
    pub fn minimal(&self) -> Value {
        let mut fields: Map<String, Value> =
            ADDRESSES.iter().map(|(name, path)| ((*name).to_owned(), self.url(path).into())).collect();
        fields.insert("id".to_owned(), self.id.into());
        fields.insert("node_id".to_owned(), node("R", self.id).into());
        fields.insert("name".to_owned(), self.name.as_str().into());
        fields.insert("full_name".to_owned(), format!("{}/{}", self.owner, self.name).into());
        fields.insert("owner".to_owned(), user(&self.urls.api, &self.owner, self.owner_id));
        fields.insert("private".to_owned(), self.settings["private"].clone());
        fields.insert("html_url".to_owned(), self.html("").into());
        fields.insert("description".to_owned(), self.settings["description"].clone());
        fields.insert("fork".to_owned(), false.into());
        fields.into()
    }

    fn full(&self) -> Value {
        let mut value = self.minimal();
        let target = value.as_object_mut().expect("a repository is an object");
        target.extend(self.settings.as_object().expect("settings are an object").clone());
        for name in [
            "forks",
            "forks_count",
            "open_issues",
            "open_issues_count",
            "size",
            "stargazers_count",
            "watchers",
            "watchers_count",
            "network_count",
            "subscribers_count",
        ] {
            target.insert(name.to_owned(), 0.into());
        }
        for name in ["has_pages", "has_discussions", "disabled"] {
            target.insert(name.to_owned(), false.into());
        }
        for name in ["language", "mirror_url", "license"] {
            target.insert(name.to_owned(), Value::Null);
        }
        for name in ["pushed_at", "created_at", "updated_at"] {
            target.insert(name.to_owned(), self.created.as_str().into());
        }
        let git = format!("github.com/{}/{}.git", self.owner, self.name);
        target.insert("clone_url".to_owned(), format!("https://{git}").into());
        target.insert("git_url".to_owned(), format!("git://{git}").into());
        target.insert("ssh_url".to_owned(), format!("git@github.com:{}/{}.git", self.owner, self.name).into());
        value
    }
}

/// A user as GitHub shows it in other things.
pub(super) fn user(api: &str, login: &str, id: u64) -> Value {
    let url = |rest: &str| format!("{api}/users/{login}{rest}");
    let kind = if login.ends_with("[bot]") { "Bot" } else { "User" };
    json!({
        "login": login, "id": id, "node_id": node("U", id), "gravatar_id": "", "type": kind, "site_admin": false,
        "avatar_url": format!("https://avatars.githubusercontent.com/u/{id}"),
        "html_url": format!("https://github.com/{}", login.replace(['[', ']'], "")),
        "url": url("").replace(['[', ']'], ""), "followers_url": url("/followers").replace(['[', ']'], ""),
        "following_url": url("/following{/other_user}"), "gists_url": url("/gists{/gist_id}"),
        "starred_url": url("/starred{/owner}{/repo}"),
        "subscriptions_url": url("/subscriptions").replace(['[', ']'], ""),
        "organizations_url": url("/orgs").replace(['[', ']'], ""), "repos_url": url("/repos").replace(['[', ']'], ""),
        "events_url": url("/events{/privacy}"), "received_events_url": url("/received_events").replace(['[', ']'], ""),
    })
}

fn patch(call: &Call, repository: &mut Repository) -> Outcome {
    let known: Vec<String> = repository.settings.as_object().expect("settings are an object").keys().cloned().collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    change(&mut repository.settings, &call.body, &known);
    Ok(Answer::ok(repository.full()))
}
