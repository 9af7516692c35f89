//! Environments: who may deploy to them, from which branches and tags.

use serde_json::{Value, json};

use super::answer::{Answer, Outcome};
use super::call::{Call, by_id, change, node, now};
use super::people::team;
use super::plan::Feature;
use super::repository::{Repository, user};
use super::route::Route;
use super::secrets::Secrets;
use super::variables::Variables;

const POLICIES: &str = "/environments/{environment_name}/deployment-branch-policies";
const POLICY: &str = "/environments/{environment_name}/deployment-branch-policies/{branch_policy_id}";

pub(super) const ROUTES: &[Route] = &[
    Route::new("GET", "/environments", "actions:read", list),
    Route::new("GET", "/environments/{environment_name}", "actions:read", get),
    Route::new("PUT", "/environments/{environment_name}", "administration:write", put),
    Route::new("DELETE", "/environments/{environment_name}", "administration:write", delete),
    Route::new("GET", POLICIES, "actions:read", policies),
    Route::new("POST", POLICIES, "administration:write", create_policy),
    Route::new("GET", POLICY, "actions:read", policy),
    Route::new("PUT", POLICY, "administration:write", put_policy),
    Route::new("DELETE", POLICY, "administration:write", delete_policy),
];

/// An environment with its secrets and variables.
pub(super) struct Environment {
    pub value: Value,
    policies: Vec<Value>,
    pub secrets: Secrets,
    pub variables: Variables,
}

impl Repository {
    /// An environment, which is made without rules if it does not exist. A deployment makes its environment like that too.
    pub fn environment(&mut self, name: &str) -> &mut Environment {
        if !self.environments.contains_key(name) {
            let id = self.next_id();
            let value = json!({
                "id": id, "node_id": node("EN", id), "name": name, "url": self.url(&format!("/environments/{name}")),
                "html_url": self.html(&format!("/deployments/activity_log?environments_filter={name}")),
                "created_at": now(), "updated_at": now(), "can_admins_bypass": true, "protection_rules": [],
                "deployment_branch_policy": null,
            });
            let made =
                Environment { value, policies: Vec::new(), secrets: Secrets::new(id), variables: Variables::new() };
            self.environments.insert(name.to_owned(), made);
        }
        self.environments.get_mut(name).expect("the environment was made")
    }

    fn named(&mut self, call: &Call) -> Result<&mut Environment, Answer> {
        self.environments.get_mut(call.parameter("environment_name")).ok_or_else(Answer::not_found)
    }
}

fn list(call: &Call, repository: &mut Repository) -> Outcome {
    let environments = repository.environments.values().map(|environment| environment.value.clone());
    Ok(Answer::counted(call, "environments", environments.collect()))
}

fn get(call: &Call, repository: &mut Repository) -> Outcome {
    Ok(Answer::ok(repository.named(call)?.value.clone()))
}

/// Replaces all rules: what the body does not have is gone.
fn put(call: &Call, repository: &mut Repository) -> Outcome {
    let body = &call.body;
    let policy = body["deployment_branch_policy"].clone();
    if policy.is_object() && policy["protected_branches"] == policy["custom_branch_policies"] {
        let message = "protected_branches and custom_branch_policies cannot have the same value";
        return Err(Answer::error(422, message));
    }
    let mut rules = Vec::new();
    let mut rule = |repository: &mut Repository, kind: &str, mut fields: Value| {
        let id = repository.next_id();
        (fields["id"], fields["node_id"], fields["type"]) = (id.into(), node("GA", id).into(), kind.into());
        rules.push(fields);
    };
    if let Some(wait) = body["wait_timer"].as_u64().filter(|&wait| wait > 0) {
        if wait > 43_200 {
            return Err(Answer::error(422, "wait_timer must be between 0 and 43200"));
        }
        rule(repository, "wait_timer", json!({ "wait_timer": wait }));
    }
    let reviewers = body["reviewers"].as_array().cloned().unwrap_or_default();
    if reviewers.len() > 6 {
        return Err(Answer::error(422, "An environment has at most six reviewers."));
    }
    if !reviewers.is_empty() {
        repository.need(Feature::Reviewers)?;
        let reviewers: Vec<Value> = reviewers.iter().map(|reviewer| shown(repository, reviewer)).collect();
        let fields = json!({"prevent_self_review": body["prevent_self_review"] == true, "reviewers": reviewers});
        rule(repository, "required_reviewers", fields);
    }
    if policy.is_object() {
        rule(repository, "branch_policy", json!({}));
    }
    let environment = repository.environment(call.parameter("environment_name"));
    if policy["custom_branch_policies"] != true {
        environment.policies.clear();
    }
    environment.value["protection_rules"] = rules.into();
    environment.value["deployment_branch_policy"] = policy;
    environment.value["updated_at"] = now().into();
    Ok(Answer::ok(environment.value.clone()))
}

fn delete(call: &Call, repository: &mut Repository) -> Outcome {
    repository.named(call)?;
    repository.environments.remove(call.parameter("environment_name"));
    Ok(Answer::empty())
}

fn policies(call: &Call, repository: &mut Repository) -> Outcome {
    Ok(Answer::counted(call, "branch_policies", repository.named(call)?.policies.clone()))
}

fn create_policy(call: &Call, repository: &mut Repository) -> Outcome {
    let id = repository.next_id();
    let environment = repository.named(call)?;
    if environment.value["deployment_branch_policy"]["custom_branch_policies"] != true {
        return Err(Answer::not_found());
    }
    let (name, kind) = (&call.body["name"], call.text("type").unwrap_or("branch"));
    if environment.policies.iter().any(|policy| policy["name"] == *name && policy["type"] == kind) {
        let same =
            environment.policies.iter().find(|policy| policy["name"] == *name).and_then(|policy| policy["id"].as_u64());
        let location = format!("{}/{}", call.address(), same.unwrap_or(0));
        return Err(Answer::new(303, None).header("location", &location));
    }
    let policy = json!({"id": id, "node_id": node("GABP", id), "name": name, "type": kind});
    environment.policies.push(policy.clone());
    Ok(Answer::ok(policy))
}

fn policy(call: &Call, repository: &mut Repository) -> Outcome {
    let id = call.id("branch_policy_id")?;
    Ok(Answer::ok(by_id(&mut repository.named(call)?.policies, id)?.clone()))
}

fn put_policy(call: &Call, repository: &mut Repository) -> Outcome {
    let id = call.id("branch_policy_id")?;
    let policy = by_id(&mut repository.named(call)?.policies, id)?;
    change(policy, &call.body, &["name"]);
    Ok(Answer::ok(policy.clone()))
}

fn delete_policy(call: &Call, repository: &mut Repository) -> Outcome {
    let id = call.id("branch_policy_id")?;
    let policies = &mut repository.named(call)?.policies;
    by_id(policies, id)?;
    policies.retain(|policy| policy["id"] != id);
    Ok(Answer::empty())
}

/// A reviewer with the user or the team that an id stands for.
fn shown(repository: &Repository, reviewer: &Value) -> Value {
    let (id, people, api) = (reviewer["id"].as_u64().unwrap_or(0), &repository.people, &repository.urls.api);
    if reviewer["type"] != "Team" {
        let login = people.users.iter().find(|(_, of)| of.0 == id).map(|(login, _)| login.clone());
        let login = login.unwrap_or_else(|| format!("user-{id}"));
        return json!({"type": "User", "reviewer": user(api, &login, id)});
    }
    let slug = people.teams.iter().find(|(_, of)| **of == id).map(|(slug, _)| slug.clone());
    json!({"type": "Team", "reviewer": team(api, &slug.unwrap_or_else(|| format!("team-{id}")), id)})
}
