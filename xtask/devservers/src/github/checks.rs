//! Check runs and commit statuses: what is known of a commit's tests.

use serde_json::{Value, json};

use super::answer::{Answer, Outcome};
use super::call::{Call, by_id, change, node, now};
use super::repository::{Repository, user};
use super::route::Route;
use super::tokens::Kind;

pub(super) const ROUTES: &[Route] = &[
    Route::new("POST", "/check-runs", "checks:write", create),
    Route::new("GET", "/check-runs/{check_run_id}", "checks:read", get),
    Route::new("PATCH", "/check-runs/{check_run_id}", "checks:write", patch),
    Route::new("GET", "/commits/{ref}/check-runs", "checks:read", list),
    Route::new("POST", "/statuses/{sha}", "statuses:write", create_status),
    Route::new("GET", "/commits/{ref}/status", "statuses:read", combined),
    Route::new("GET", "/commits/{ref}/statuses", "statuses:read", statuses),
];

/// Check runs, and statuses with the commits that they are of; oldest first.
#[derive(Default)]
pub(super) struct Checks {
    runs: Vec<Value>,
    statuses: Vec<(String, Value)>,
}

impl Checks {
    /// The names and the results of a commit's checks and statuses, the newest of each name.
    pub fn results(&self, sha: &str) -> Vec<(String, String)> {
        let latest = newest(self.runs.iter().filter(|run| run["head_sha"] == sha), "name");
        let state = |run: &Value| run["conclusion"].as_str().or(run["status"].as_str()).unwrap_or_default().to_owned();
        let runs = latest.into_iter().map(|run| (run["name"].as_str().unwrap_or_default().to_owned(), state(run)));
        let statuses = self.statuses_of(sha).into_iter();
        let text = |status: &Value, name: &str| status[name].as_str().unwrap_or_default().to_owned();
        runs.chain(statuses.map(|status| (text(status, "context"), text(status, "state")))).collect()
    }

    /// Ends a check run.
    pub fn conclude(&mut self, id: u64, conclusion: &str) {
        if let Ok(run) = by_id(&mut self.runs, id) {
            update(run, &json!({ "conclusion": conclusion }));
        }
    }

    fn statuses_of(&self, sha: &str) -> Vec<&Value> {
        newest(self.statuses.iter().filter(|(of, _)| of == sha).map(|(_, status)| status), "context")
    }
}

impl Repository {
    /// Adds a check run as an app of GitHub's does it, to a suite or to one of its own.
    pub fn add_check(&mut self, name: &str, sha: &str, suite: Option<u64>, fields: &Value) -> u64 {
        let id = self.next_id();
        let url = self.url(&format!("/check-runs/{id}"));
        let html = self.html(&format!("/runs/{id}"));
        let mut run = json!({
            "id": id, "head_sha": sha, "node_id": node("CR", id), "external_id": "", "url": url, "html_url": html,
            "details_url": html, "status": "queued", "conclusion": null, "started_at": now(), "completed_at": null,
            "output": {
                "title": null, "summary": null, "text": null, "annotations_count": 0,
                "annotations_url": format!("{url}/annotations"),
            },
            "name": name, "check_suite": {"id": suite.unwrap_or(id)}, "app": self.actions_app(), "pull_requests": [],
        });
        update(&mut run, fields);
        self.checks.runs.push(run);
        id
    }

    fn actions_app(&self) -> Value {
        json!({
            "id": 15368, "slug": "github-actions", "node_id": node("A", 15368), "name": "GitHub Actions",
            "owner": user(&self.urls.api, "github", 9919), "description": "Automate your workflow from idea to production",
            "external_url": "https://help.github.com/en/actions", "html_url": "https://github.com/apps/github-actions",
            "created_at": "2018-07-30T09:30:17Z", "updated_at": "2024-04-10T20:33:16Z",
            "permissions": {"checks": "write", "contents": "write", "deployments": "write", "metadata": "read"},
            "events": ["push"],
        })
    }

    fn commit_of(&self, call: &Call) -> Result<String, Answer> {
        let name = call.parameter("ref");
        self.resolve(name).ok_or_else(|| Answer::error(422, &format!("No commit found for SHA: {name}")))
    }
}

fn create(call: &Call, repository: &mut Repository) -> Outcome {
    if call.token.kind == Kind::Person {
        return Err(Answer::error(403, "You must authenticate via a GitHub App."));
    }
    let sha = call.text("head_sha").unwrap_or_default();
    if repository.commits.find(sha).is_none() {
        return Err(Answer::error(422, &format!("No commit found for SHA: {sha}")));
    }
    let id = repository.add_check(call.text("name").unwrap_or_default(), sha, None, &call.body);
    Ok(Answer::created(by_id(&mut repository.checks.runs, id)?.clone()))
}

fn get(call: &Call, repository: &mut Repository) -> Outcome {
    Ok(Answer::ok(by_id(&mut repository.checks.runs, call.id("check_run_id")?)?.clone()))
}

fn patch(call: &Call, repository: &mut Repository) -> Outcome {
    if call.token.kind == Kind::Person {
        return Err(Answer::error(403, "You must authenticate via a GitHub App."));
    }
    let run = by_id(&mut repository.checks.runs, call.id("check_run_id")?)?;
    change(run, &call.body, &["name"]);
    update(run, &call.body);
    Ok(Answer::ok(run.clone()))
}

fn list(call: &Call, repository: &mut Repository) -> Outcome {
    let sha = repository.commit_of(call)?;
    let of_commit = repository.checks.runs.iter().filter(|run| run["head_sha"] == sha.as_str());
    let fits = |run: &&Value| {
        call.query("check_name").is_none_or(|name| run["name"] == name)
            && call.query("status").is_none_or(|status| run["status"] == status)
    };
    let runs = match call.query("filter") {
        Some("all") => of_commit.rev().collect(),
        _ => newest(of_commit, "name"),
    };
    Ok(Answer::counted(call, "check_runs", runs.into_iter().filter(fits).cloned().collect()))
}

fn create_status(call: &Call, repository: &mut Repository) -> Outcome {
    let sha = call.parameter("sha").to_owned();
    if repository.commits.find(&sha).is_none_or(|commit| commit.sha != sha) {
        return Err(Answer::error(422, &format!("No commit found for SHA: {sha}")));
    }
    let id = repository.next_id();
    let status = json!({
        "url": repository.url(&format!("/statuses/{sha}")), "avatar_url": "https://avatars.githubusercontent.com/oa/1",
        "id": id, "node_id": node("SC", id), "state": call.body["state"], "description": call.body["description"],
        "target_url": call.body["target_url"], "context": call.text("context").unwrap_or("default"), "created_at": now(),
        "updated_at": now(), "creator": repository.asker(call),
    });
    repository.checks.statuses.push((sha, status.clone()));
    Ok(Answer::created(status))
}

fn combined(call: &Call, repository: &mut Repository) -> Outcome {
    let sha = repository.commit_of(call)?;
    let statuses = repository.checks.statuses_of(&sha);
    let has = |state: &str| statuses.iter().any(|status| status["state"] == state);
    let state = match () {
        () if has("failure") || has("error") => "failure",
        () if statuses.is_empty() || has("pending") => "pending",
        () => "success",
    };
    let url = repository.url(&format!("/commits/{sha}"));
    Ok(Answer::ok(json!({
        "state": state, "statuses": statuses, "sha": sha, "total_count": statuses.len(),
        "repository": repository.minimal(), "url": format!("{url}/status"), "commit_url": url,
    })))
}

fn statuses(call: &Call, repository: &mut Repository) -> Outcome {
    let sha = repository.commit_of(call)?;
    let statuses = repository.checks.statuses.iter().rev().filter(|(of, _)| *of == sha);
    Ok(Answer::page(call, statuses.map(|(_, status)| status.clone()).collect()))
}

/// Changes a check run as a body says it. One with a conclusion is complete.
fn update(run: &mut Value, body: &Value) {
    change(run, body, &["details_url", "external_id", "status", "conclusion", "started_at", "completed_at"]);
    for name in ["title", "summary", "text"] {
        if let Some(text) = body["output"].get(name) {
            run["output"][name] = text.clone();
        }
    }
    if !run["conclusion"].is_null() {
        run["status"] = "completed".into();
        if run["completed_at"].is_null() {
            run["completed_at"] = now().into();
        }
    }
}

/// The newest of each name, newest first.
fn newest<'a>(list: impl DoubleEndedIterator<Item = &'a Value>, name: &str) -> Vec<&'a Value> {
    let mut found: Vec<&Value> = Vec::new();
    for value in list.rev() {
        if found.iter().all(|other| other[name] != value[name]) {
            found.push(value);
        }
    }
    found
}
