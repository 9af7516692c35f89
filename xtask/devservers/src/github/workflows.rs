//! Workflows, their runs, and what starts them.

use serde_json::{Value, json};

use super::answer::{Answer, Outcome};
use super::call::{Call, by_id, node, now};
use super::jobs::Job;
use super::repository::{Repository, user};
use super::route::Route;
use super::run::Callback;
use super::tokens::{Kind, login};

pub(super) const ROUTES: &[Route] = &[
    Route::new("GET", "/actions/workflows", "actions:read", list),
    Route::new("GET", "/actions/workflows/{workflow_id}", "actions:read", get),
    Route::new("POST", "/actions/workflows/{workflow_id}/dispatches", "actions:write", dispatch),
    Route::new("GET", "/actions/workflows/{workflow_id}/runs", "actions:read", runs_of),
    Route::new("POST", "/dispatches", "contents:write", repository_dispatch),
    Route::new("GET", "/actions/runs", "actions:read", runs),
    Route::new("GET", "/actions/runs/{run_id}", "actions:read", run),
    Route::new("POST", "/actions/runs/{run_id}/cancel", "actions:write", cancel),
    Route::new("POST", "/actions/runs/{run_id}/rerun", "actions:write", rerun),
    Route::new("POST", "/actions/runs/{run_id}/rerun-failed-jobs", "actions:write", rerun),
];

/// Workflows, and their runs, oldest first.
#[derive(Default)]
pub(super) struct Workflows {
    list: Vec<Workflow>,
    pub runs: Vec<Value>,
    pub jobs: Vec<Job>,
    /// What each run was started with.
    payloads: Vec<(u64, Value)>,
    /// Runs that have yet to begin, and what they do.
    pub waiting: Vec<(u64, Callback)>,
}

/// A workflow's file, as far as the stand-in knows it.
struct Workflow {
    value: Value,
    /// `release:released`, `push`, `workflow_dispatch`.
    on: Vec<String>,
    does: Option<Callback>,
}

impl Workflows {
    /// What a run was started with: an event's payload.
    pub fn payload(&self, run: u64) -> Value {
        self.payloads.iter().find(|(id, _)| *id == run).map_or(Value::Null, |(_, payload)| payload.clone())
    }
}

impl Repository {
    /// Adds a workflow by its path, its name and the events that start it.
    pub fn add_workflow(&mut self, path: &str, name: &str, on: &[&str], does: Option<Callback>) {
        let id = self.next_id();
        let file = path.rsplit('/').next().unwrap_or(path);
        let value = json!({
            "id": id, "node_id": node("W", id), "name": name, "path": path, "state": "active", "created_at": now(),
            "updated_at": now(), "url": self.url(&format!("/actions/workflows/{id}")),
            "html_url": self.html(&format!("/blob/main/{path}")),
            "badge_url": self.html(&format!("/workflows/{name}/badge.svg?file={file}").replace(' ', "%20")),
        });
        let on = on.iter().map(|event| (*event).to_owned()).collect();
        self.workflows.list.push(Workflow { value, on, does });
    }

    /// Starts those that wait for an event: the ids of the runs.
    pub fn start_workflows(
        &mut self,
        by: Kind,
        name: &str,
        action: Option<&str>,
        reference: &str,
        payload: &Value,
    ) -> Vec<u64> {
        let full = action.map(|action| format!("{name}:{action}"));
        let waits = |workflow: &&Workflow| workflow.on.iter().any(|on| on == name || Some(on) == full.as_ref());
        let found = self.workflows.list.iter().filter(waits).filter(|workflow| workflow.value["state"] == "active");
        let found: Vec<(Value, Option<Callback>)> =
            found.map(|workflow| (workflow.value.clone(), workflow.does.clone())).collect();
        found
            .into_iter()
            .filter_map(|(workflow, does)| self.start(by, &workflow, does, name, reference, payload))
            .collect()
    }

    fn start(
        &mut self,
        by: Kind,
        workflow: &Value,
        does: Option<Callback>,
        event: &str,
        reference: &str,
        payload: &Value,
    ) -> Option<u64> {
        let sha = self.resolve(reference)?;
        let head = self.commits.find(&sha)?.head();
        let id = self.next_id();
        let number = self.workflows.runs.iter().filter(|run| run["workflow_id"] == workflow["id"]).count() + 1;
        let url = self.url(&format!("/actions/runs/{id}"));
        let branch = reference.trim_start_matches("refs/heads/").trim_start_matches("refs/tags/");
        let (login, user_id) = login(by);
        let actor = user(&self.urls.api, login, user_id);
        self.workflows.runs.push(json!({
            "id": id, "name": workflow["name"], "node_id": node("WFR", id), "head_branch": branch, "head_sha": sha,
            "path": workflow["path"], "display_title": workflow["name"], "run_number": number, "run_attempt": 1,
            "event": event, "status": "queued", "conclusion": null, "workflow_id": workflow["id"], "url": url,
            "html_url": self.html(&format!("/actions/runs/{id}")), "pull_requests": [], "created_at": now(),
            "updated_at": now(), "run_started_at": now(), "actor": actor, "triggering_actor": actor,
            "jobs_url": format!("{url}/jobs"), "logs_url": format!("{url}/logs"),
            "check_suite_id": id, "check_suite_url": self.url(&format!("/check-suites/{id}")), "artifacts_url": format!("{url}/artifacts"),
            "cancel_url": format!("{url}/cancel"), "rerun_url": format!("{url}/rerun"), "previous_attempt_url": null,
            "workflow_url": workflow["url"], "head_commit": head, "repository": self.minimal(),
            "head_repository": self.minimal(),
        }));
        self.workflows.payloads.push((id, payload.clone()));
        self.workflows.waiting.extend(does.map(|does| (id, does)));
        Some(id)
    }

    /// Whether a run that does something has not ended.
    pub fn is_running(&self) -> bool {
        let does = |run: &Value| {
            let mut all = self.workflows.list.iter();
            all.any(|workflow| workflow.value["id"] == run["workflow_id"] && workflow.does.is_some())
        };
        self.workflows.runs.iter().any(|run| run["status"] != "completed" && does(run))
    }

    /// The workflow with this id or file name.
    fn workflow(&self, call: &Call) -> Result<&Workflow, Answer> {
        let wanted = call.parameter("workflow_id");
        let id: Option<u64> = wanted.parse().ok();
        let fits = |workflow: &&Workflow| {
            (id.is_some() && workflow.value["id"].as_u64() == id)
                || workflow.value["path"].as_str().is_some_and(|path| path.rsplit('/').next() == Some(wanted))
        };
        self.workflows.list.iter().find(fits).ok_or_else(Answer::not_found)
    }
}

fn list(call: &Call, repository: &mut Repository) -> Outcome {
    let workflows = repository.workflows.list.iter().map(|workflow| workflow.value.clone());
    Ok(Answer::counted(call, "workflows", workflows.collect()))
}

fn get(call: &Call, repository: &mut Repository) -> Outcome {
    Ok(Answer::ok(repository.workflow(call)?.value.clone()))
}

fn dispatch(call: &Call, repository: &mut Repository) -> Outcome {
    let workflow = repository.workflow(call)?;
    if !workflow.on.iter().any(|on| on == "workflow_dispatch") {
        return Err(Answer::error(422, "Workflow does not have 'workflow_dispatch' trigger"));
    }
    let (value, does) = (workflow.value.clone(), workflow.does.clone());
    let reference = call.text("ref").unwrap_or_default();
    let payload = json!({"inputs": call.body["inputs"], "ref": reference});
    let no_ref = || Answer::error(422, &format!("No ref found for: {reference}"));
    let run =
        repository.start(call.token.kind, &value, does, "workflow_dispatch", reference, &payload).ok_or_else(no_ref)?;
    repository.note(call.token.kind, "workflow_dispatch", None, vec![run]);
    if !call.flag("return_run_details", false) {
        return Ok(Answer::empty());
    }
    let html = repository.html(&format!("/actions/runs/{run}"));
    let url = repository.url(&format!("/actions/runs/{run}"));
    Ok(Answer::ok(json!({"workflow_run_id": run, "run_url": url, "html_url": html})))
}

fn repository_dispatch(call: &Call, repository: &mut Repository) -> Outcome {
    let branch = repository.default_branch().to_owned();
    let kind = call.text("event_type").unwrap_or_default();
    let payload = json!({"action": kind, "client_payload": call.body["client_payload"]});
    repository.happened(call.token.kind, "repository_dispatch", Some(kind), &branch, payload);
    Ok(Answer::empty())
}

fn runs(call: &Call, repository: &mut Repository) -> Outcome {
    Ok(Answer::counted(call, "workflow_runs", fitting(call, &repository.workflows.runs)))
}

fn runs_of(call: &Call, repository: &mut Repository) -> Outcome {
    let id = repository.workflow(call)?.value["id"].clone();
    let mut runs = fitting(call, &repository.workflows.runs);
    runs.retain(|run| run["workflow_id"] == id);
    Ok(Answer::counted(call, "workflow_runs", runs))
}

fn run(call: &Call, repository: &mut Repository) -> Outcome {
    Ok(Answer::ok(by_id(&mut repository.workflows.runs, call.id("run_id")?)?.clone()))
}

fn cancel(call: &Call, repository: &mut Repository) -> Outcome {
    let id = call.id("run_id")?;
    if by_id(&mut repository.workflows.runs, id)?["status"] == "completed" {
        return Err(Answer::error(409, "Cannot cancel a workflow run that is completed."));
    }
    repository.finish(id, "cancelled");
    Ok(Answer::new(202, Some(json!({}))))
}

/// Runs again with what it was first started with.
fn rerun(call: &Call, repository: &mut Repository) -> Outcome {
    let id = call.id("run_id")?;
    let run = by_id(&mut repository.workflows.runs, id)?;
    if run["status"] != "completed" {
        return Err(Answer::error(403, "This workflow run cannot be retried because it is already running."));
    }
    let attempt = run["run_attempt"].as_u64().unwrap_or(1);
    run["run_attempt"] = (attempt + 1).into();
    (run["status"], run["conclusion"], run["updated_at"]) = ("queued".into(), Value::Null, now().into());
    let workflow = run["workflow_id"].clone();
    let does = repository
        .workflows
        .list
        .iter()
        .find(|found| found.value["id"] == workflow)
        .and_then(|found| found.does.clone());
    repository.workflows.waiting.extend(does.map(|does| (id, does)));
    Ok(Answer::created(json!({})))
}

/// The runs that a query wants, newest first.
fn fitting(call: &Call, runs: &[Value]) -> Vec<Value> {
    let fits = |run: &&Value| {
        let same = |query: &str, name: &str| call.query(query).is_none_or(|wanted| run[name] == wanted);
        let status = call.query("status").is_none_or(|wanted| run["status"] == wanted || run["conclusion"] == wanted);
        // Only `>=TIME`, and a time is a text that can be compared.
        let since = call.query("created").and_then(|range| range.strip_prefix(">="));
        let created = since.is_none_or(|since| run["created_at"].as_str().is_some_and(|at| at >= since));
        status && created && same("event", "event") && same("branch", "head_branch") && same("head_sha", "head_sha")
    };
    runs.iter().rev().filter(fits).cloned().collect()
}
