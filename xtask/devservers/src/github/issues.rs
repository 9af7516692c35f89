//! Issues and labels. A pull request is an issue too.

use serde_json::{Value, json};

use super::answer::{Answer, Outcome, page};
use super::call::{Call, change, node, now};
use super::repository::{Repository, user};
use super::route::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::new("GET", "/issues", "issues:read|pull_requests:read", list),
    Route::new("POST", "/issues", "issues:write", create),
    Route::new("GET", "/issues/{issue_number}", "issues:read|pull_requests:read", get),
    Route::new("PATCH", "/issues/{issue_number}", "issues:write|pull_requests:write", patch),
    Route::new("GET", "/labels", "issues:read|pull_requests:read", labels),
    Route::new("POST", "/labels", "issues:write|pull_requests:write", create_label),
    Route::new("GET", "/labels/{name}", "issues:read|pull_requests:read", label),
    Route::new("DELETE", "/labels/{name}", "issues:write|pull_requests:write", delete_label),
];

/// Issues and pull requests, oldest first, their comments, and the repository's labels.
#[derive(Default)]
pub(super) struct Issues {
    pub list: Vec<Value>,
    pub comments: Vec<Value>,
    labels: Vec<Value>,
}

impl Repository {
    /// Adds an issue or, with its branch, a pull request: its number.
    pub fn add_issue(&mut self, author: Value, title: &str, body: &Value, pull: bool) -> u64 {
        let id = self.next_id();
        let number = self.issues.list.len() as u64 + 1;
        let url = self.url(&format!("/issues/{number}"));
        let html = self.html(&format!("/{}/{number}", if pull { "pull" } else { "issues" }));
        let mut issue = json!({
            "id": id, "node_id": node("I", id), "url": url, "repository_url": self.url(""),
            "labels_url": format!("{url}/labels{{/name}}"), "comments_url": format!("{url}/comments"),
            "events_url": format!("{url}/events"), "html_url": html, "number": number, "state": "open",
            "state_reason": null, "title": title, "body": body, "user": author, "labels": [], "assignee": null,
            "assignees": [], "milestone": null, "locked": false, "active_lock_reason": null, "comments": 0,
            "closed_at": null, "created_at": now(), "updated_at": now(), "author_association": "OWNER", "closed_by": null,
        });
        if pull {
            let pull = self.url(&format!("/pulls/{number}"));
            let (diff, patch) = (format!("{html}.diff"), format!("{html}.patch"));
            issue["pull_request"] =
                json!({"url": pull, "html_url": html, "diff_url": diff, "patch_url": patch, "merged_at": null});
        }
        self.issues.list.push(issue);
        number
    }

    /// The issue that a request names.
    pub fn issue(&mut self, call: &Call) -> Result<&mut Value, Answer> {
        let number = call.id("issue_number")?;
        self.issues.list.iter_mut().find(|issue| issue["number"] == number).ok_or_else(Answer::not_found)
    }

    /// The labels of these names. GitHub makes those that do not exist.
    fn labelled(&mut self, names: &Value) -> Value {
        let names = names.as_array().into_iter().flatten();
        let names = names.filter_map(|name| name.as_str().or(name["name"].as_str()));
        names.map(|name| self.add_label(name, "ededed", &Value::Null)).collect()
    }

    fn add_label(&mut self, name: &str, color: &str, description: &Value) -> Value {
        if let Some(label) = self.issues.labels.iter().find(|label| label["name"] == name) {
            return label.clone();
        }
        let id = self.next_id();
        let url = self.url(&format!("/labels/{}", name.replace(' ', "%20")));
        let label = json!({
            "id": id, "node_id": node("LA", id), "url": url, "name": name, "description": description, "color": color,
            "default": false,
        });
        self.issues.labels.push(label.clone());
        label
    }
}

/// Answers `GET /search/issues`: words of the title or the body, and `is:`, `state:`, `label:`, `repo:`, `author:`, `in:`.
pub(super) fn search<'a>(call: &Call, repositories: impl Iterator<Item = &'a Repository>) -> Answer {
    let query = call.query("q").unwrap_or_default().to_owned();
    let terms = words(&query);
    let fits = |repository: &Repository, issue: &Value| {
        terms.iter().all(|term| {
            let has_label = |name: &str| {
                issue["labels"].as_array().is_some_and(|all| all.iter().any(|label| label["name"] == name))
            };
            match term.split_once(':') {
                Some(("is", kind @ ("issue" | "pr"))) => (kind == "pr") != issue["pull_request"].is_null(),
                Some(("is" | "state", state)) => issue["state"] == state,
                Some(("label", name)) => has_label(name),
                Some(("repo", name)) => name == format!("{}/{}", repository.owner, repository.name),
                Some(("author", login)) => {
                    issue["user"]["login"].as_str().map(|name| name.trim_end_matches("[bot]"))
                        == Some(login.trim_start_matches("app/"))
                }
                Some(("in", _)) => true,
                _ => ["title", "body"]
                    .iter()
                    .any(|name| issue[*name].as_str().is_some_and(|text| text.contains(term.as_str()))),
            }
        })
    };
    let all =
        repositories.flat_map(|repository| repository.issues.list.iter().rev().map(move |issue| (repository, issue)));
    let found = all.filter(|(repository, issue)| fits(repository, issue)).map(|(_, issue)| {
        let mut issue = issue.clone();
        issue["score"] = 1.into();
        if issue["body"].is_null() {
            // The search leaves an empty body out.
            issue.as_object_mut().expect("an issue is an object").remove("body");
        }
        issue
    });
    let found: Vec<Value> = found.collect();
    let total = found.len();
    let (links, items) = page(call, found, 30);
    let answer = Answer::ok(
        json!({"total_count": total, "incomplete_results": false, "items": items, "search_type": "lexical"}),
    );
    links.into_iter().fold(answer, |answer, links| answer.header("link", &links))
}

/// The words of a search, without the quotes that keep some together.
fn words(query: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for sign in query.chars() {
        match sign {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            sign => words.last_mut().expect("the list has a word").push(sign),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn list(call: &Call, repository: &mut Repository) -> Outcome {
    let state = call.query("state").unwrap_or("open");
    let labels: Vec<&str> =
        call.query("labels").unwrap_or_default().split(',').filter(|name| !name.is_empty()).collect();
    let fits = |issue: &&Value| {
        let has =
            |name: &&str| issue["labels"].as_array().is_some_and(|all| all.iter().any(|label| label["name"] == *name));
        let by = call.query("creator").is_none_or(|login| issue["user"]["login"] == login);
        let since = call.query("since").is_none_or(|since| issue["updated_at"].as_str().is_some_and(|at| at >= since));
        (state == "all" || issue["state"] == state) && labels.iter().all(has) && by && since
    };
    let mut found: Vec<Value> = repository.issues.list.iter().rev().filter(fits).cloned().collect();
    if call.query("direction") == Some("asc") {
        found.reverse();
    }
    Ok(Answer::page(call, found))
}

fn create(call: &Call, repository: &mut Repository) -> Outcome {
    let author = repository.asker(call);
    let number = repository.add_issue(author, call.text("title").unwrap_or_default(), &call.body["body"], false);
    let labels = repository.labelled(&call.body["labels"]);
    let issue = repository.issues.list.last_mut().ok_or_else(Answer::not_found)?;
    issue["labels"] = labels;
    let issue = issue.clone();
    repository.issue_event(call, "opened", number);
    Ok(Answer::created(issue))
}

fn get(call: &Call, repository: &mut Repository) -> Outcome {
    Ok(Answer::ok(repository.issue(call)?.clone()))
}

fn patch(call: &Call, repository: &mut Repository) -> Outcome {
    let labels = call.body.get("labels").map(|labels| repository.labelled(labels));
    let asker = repository.asker(call);
    let issue = repository.issue(call)?;
    change(issue, &call.body, &["title", "body"]);
    issue["labels"] = labels.unwrap_or_else(|| issue["labels"].take());
    issue["updated_at"] = now().into();
    let (before, after) = (issue["state"].clone(), call.text("state"));
    let number = issue["number"].as_u64().unwrap_or(0);
    let action = match after.filter(|state| before != *state) {
        Some("closed") => {
            issue["state_reason"] = call.text("state_reason").unwrap_or("completed").into();
            (issue["state"], issue["closed_at"], issue["closed_by"]) = ("closed".into(), now().into(), asker);
            "closed"
        }
        Some(_) => {
            issue["state_reason"] = "reopened".into();
            (issue["state"], issue["closed_at"], issue["closed_by"]) = ("open".into(), Value::Null, Value::Null);
            "reopened"
        }
        None => "edited",
    };
    let issue = issue.clone();
    repository.issue_event(call, action, number);
    Ok(Answer::ok(issue))
}

fn labels(call: &Call, repository: &mut Repository) -> Outcome {
    Ok(Answer::page(call, repository.issues.labels.clone()))
}

fn create_label(call: &Call, repository: &mut Repository) -> Outcome {
    let name = call.text("name").unwrap_or_default();
    if repository.issues.labels.iter().any(|label| label["name"] == name) {
        return Err(Answer::invalid("Label", "name", "already_exists"));
    }
    Ok(Answer::created(repository.add_label(name, call.text("color").unwrap_or("ededed"), &call.body["description"])))
}

fn label(call: &Call, repository: &mut Repository) -> Outcome {
    let mut labels = repository.issues.labels.iter();
    labels.find(|label| label["name"] == call.parameter("name")).cloned().map(Answer::ok).ok_or_else(Answer::not_found)
}

fn delete_label(call: &Call, repository: &mut Repository) -> Outcome {
    let name = call.parameter("name");
    let count = repository.issues.labels.len();
    repository.issues.labels.retain(|label| label["name"] != name);
    for issue in &mut repository.issues.list {
        issue["labels"].as_array_mut().expect("an issue has labels").retain(|label| label["name"] != name);
    }
    if repository.issues.labels.len() < count { Ok(Answer::empty()) } else { Err(Answer::not_found()) }
}

impl Repository {
    fn issue_event(&mut self, call: &Call, action: &str, number: u64) {
        let branch = self.default_branch().to_owned();
        self.happened(call.token.kind, "issues", Some(action), &branch, json!({ "number": number }));
    }

    /// Adds a pull request of a person: its number.
    pub fn add_pull_request(&mut self, title: &str) -> u64 {
        let author = user(&self.urls.api, "deployer", 583_231);
        self.add_issue(author, title, &Value::Null, true)
    }
}
