//! Deployments and their statuses.

use serde_json::{Value, json};

use super::answer::{Answer, Outcome};
use super::call::{Call, by_id, node, now};
use super::repository::Repository;
use super::route::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::new("GET", "/deployments", "deployments:read", list),
    Route::new("POST", "/deployments", "deployments:write", create),
    Route::new("GET", "/deployments/{deployment_id}", "deployments:read", get),
    Route::new("DELETE", "/deployments/{deployment_id}", "deployments:write", delete),
    Route::new("GET", "/deployments/{deployment_id}/statuses", "deployments:read", statuses),
    Route::new("POST", "/deployments/{deployment_id}/statuses", "deployments:write", create_status),
];

/// Deployments, and statuses with the deployments that they are of; oldest first.
#[derive(Default)]
pub(super) struct Deployments {
    pub list: Vec<Value>,
    statuses: Vec<(u64, Value)>,
}

impl Deployments {
    /// The states that a deployment has had.
    pub fn states(&self, id: u64) -> Vec<String> {
        self.of(id).filter_map(|status| status["state"].as_str()).map(str::to_owned).collect()
    }

    fn of(&self, id: u64) -> impl DoubleEndedIterator<Item = &Value> {
        self.statuses.iter().filter(move |(of, _)| *of == id).map(|(_, status)| status)
    }

    fn is_active(&self, id: u64) -> bool {
        self.of(id).next_back().is_some_and(|status| status["state"] != "inactive")
    }
}

fn list(call: &Call, repository: &mut Repository) -> Outcome {
    let fits = |deployment: &&Value| {
        let same = |name: &str| call.query(name).is_none_or(|wanted| wanted == "none" || deployment[name] == wanted);
        ["sha", "ref", "task", "environment"].iter().all(|name| same(name))
    };
    Ok(Answer::page(call, repository.deployments.list.iter().rev().filter(fits).cloned().collect()))
}

fn create(call: &Call, repository: &mut Repository) -> Outcome {
    let reference = call.text("ref").unwrap_or_default();
    let no_ref = || Answer::error(422, &format!("No ref found for: {reference}"));
    let sha = repository.resolve(reference).ok_or_else(no_ref)?;
    merge_first(call, repository, reference, &sha)?;
    let results = repository.checks.results(&sha);
    let required: Vec<&str> = match call.body["required_contexts"].as_array() {
        Some(names) => names.iter().filter_map(Value::as_str).collect(),
        // Without a list, all that there are.
        None => results.iter().map(|(name, _)| name.as_str()).collect(),
    };
    let green = |name: &&str| {
        let of_name = results.iter().find(|(other, _)| other == name);
        of_name.is_some_and(|(_, state)| matches!(state.as_str(), "success" | "neutral" | "skipped"))
    };
    if !required.iter().all(green) {
        return Err(Answer::error(409, &format!("Conflict: Commit status checks failed for {reference}.")));
    }
    let id = repository.next_id();
    let url = repository.url(&format!("/deployments/{id}"));
    let environment = call.text("environment").unwrap_or("production");
    let usual = environment == "production";
    let payload = if call.body["payload"].is_null() { json!({}) } else { call.body["payload"].clone() };
    let deployment = json!({
        "url": url, "id": id, "node_id": node("DE", id), "sha": sha, "ref": reference,
        "task": call.text("task").unwrap_or("deploy"), "payload": payload, "original_environment": environment,
        "environment": environment, "description": call.body["description"], "creator": repository.asker(call),
        "created_at": now(), "updated_at": now(), "statuses_url": format!("{url}/statuses"),
        "repository_url": repository.url(""), "transient_environment": call.flag("transient_environment", false),
        "production_environment": call.flag("production_environment", usual),
    });
    repository.deployments.list.push(deployment.clone());
    repository.environment(environment);
    repository.happened(call.token.kind, "deployment", Some("created"), reference, json!({"deployment": deployment}));
    Ok(Answer::created(deployment))
}

fn get(call: &Call, repository: &mut Repository) -> Outcome {
    Ok(Answer::ok(by_id(&mut repository.deployments.list, call.id("deployment_id")?)?.clone()))
}

fn delete(call: &Call, repository: &mut Repository) -> Outcome {
    let id = call.id("deployment_id")?;
    let environment = by_id(&mut repository.deployments.list, id)?["environment"].clone();
    let others = repository.deployments.list.iter().filter(|other| other["environment"] == environment).count();
    if repository.deployments.is_active(id) && others > 1 {
        let message = "We cannot delete an active deployment unless it is the only deployment in a given environment.";
        return Err(Answer::error(422, message));
    }
    repository.deployments.list.retain(|deployment| deployment["id"] != id);
    repository.deployments.statuses.retain(|(of, _)| *of != id);
    Ok(Answer::empty())
}

fn statuses(call: &Call, repository: &mut Repository) -> Outcome {
    let id = call.id("deployment_id")?;
    by_id(&mut repository.deployments.list, id)?;
    Ok(Answer::page(call, repository.deployments.of(id).rev().cloned().collect()))
}

fn create_status(call: &Call, repository: &mut Repository) -> Outcome {
    let id = call.id("deployment_id")?;
    if call.text("description").is_some_and(|text| text.chars().count() > 140) {
        let message = "description is too long (maximum is 140 characters)";
        return Err(Answer::custom("DeploymentStatus", "description", message));
    }
    let deployment = by_id(&mut repository.deployments.list, id)?;
    deployment["updated_at"] = now().into();
    if let Some(environment) = call.text("environment") {
        deployment["environment"] = environment.into();
    }
    let environment = deployment["environment"].clone();
    let reference = deployment["ref"].as_str().unwrap_or_default().to_owned();
    let status = repository.add_status(call, id, call.text("state").unwrap_or_default(), &call.body);
    if status["state"] == "success" && call.flag("auto_inactive", true) {
        let before = |other: &&Value| {
            other["environment"] == environment
                && other["id"].as_u64().is_some_and(|other| other < id && repository.deployments.is_active(other))
                // GitHub leaves these two kinds as they are.
                && other["transient_environment"] == false
                && other["production_environment"] == false
        };
        let others: Vec<u64> =
            repository.deployments.list.iter().filter(before).filter_map(|other| other["id"].as_u64()).collect();
        for other in others {
            repository.add_status(call, other, "inactive", &Value::Null);
        }
    }
    repository.happened(
        call.token.kind,
        "deployment_status",
        Some("created"),
        &reference,
        json!({"deployment_status": status}),
    );
    Ok(Answer::created(status))
}

/// A branch that lacks commits of the default branch would have it merged: a merge that the stand-in refuses.
fn merge_first(call: &Call, repository: &Repository, reference: &str, sha: &str) -> Result<(), Answer> {
    let default = repository.default_branch();
    let is_branch = repository.refs.contains_key(&format!("refs/heads/{reference}"));
    if !call.flag("auto_merge", true) || !is_branch || reference == default {
        return Ok(());
    }
    let main = repository.refs.get(&format!("refs/heads/{default}"));
    if main.is_none_or(|main| repository.commits.ancestors(sha).contains(main.as_str())) {
        return Ok(());
    }
    Err(Answer::error(409, &format!("Conflict merging {default} into {reference}.")))
}

impl Repository {
    fn add_status(&mut self, call: &Call, deployment: u64, state: &str, body: &Value) -> Value {
        let id = self.next_id();
        let url = self.url(&format!("/deployments/{deployment}"));
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        let log = if text("log_url").is_empty() { text("target_url") } else { text("log_url") };
        let environment = self.deployments.list.iter().find(|found| found["id"] == deployment);
        let status = json!({
            "url": format!("{url}/statuses/{id}"), "id": id, "node_id": node("DES", id), "state": state,
            "creator": self.asker(call), "description": text("description"), "target_url": log, "log_url": log,
            "environment": environment.map(|found| found["environment"].clone()),
            "environment_url": text("environment_url"), "created_at": now(), "updated_at": now(), "deployment_url": url,
            "repository_url": self.url(""),
        });
        self.deployments.statuses.push((deployment, status.clone()));
        status
    }
}
