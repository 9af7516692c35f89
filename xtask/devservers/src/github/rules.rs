//! Rulesets and branch protection.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::{Answer, Outcome};
use super::call::{Call, by_id, change, node, now};
use super::plan::Feature;
use super::repository::Repository;
use super::route::Route;
use super::tokens::Kind;

pub(super) const ROUTES: &[Route] = &[
    Route::new("GET", "/rulesets", "metadata:read", list),
    Route::new("POST", "/rulesets", "administration:write", create),
    Route::new("GET", "/rulesets/{ruleset_id}", "metadata:read", get),
    Route::new("PUT", "/rulesets/{ruleset_id}", "administration:write", put),
    Route::new("DELETE", "/rulesets/{ruleset_id}", "administration:write", delete),
    Route::new("GET", "/branches/{branch}/protection", "administration:read", protection),
    Route::new("PUT", "/branches/{branch}/protection", "administration:write", protect),
    Route::new("DELETE", "/branches/{branch}/protection", "administration:write", unprotect),
];

const FIELDS: [&str; 6] = ["name", "target", "enforcement", "bypass_actors", "conditions", "rules"];

/// Rulesets, and the protection of branches by their names.
#[derive(Default)]
pub(super) struct Rules {
    rulesets: Vec<Value>,
    protection: BTreeMap<String, Value>,
}

impl Repository {
    /// Whether a branch is protected, by either means.
    pub fn is_protected(&self, branch: &str) -> bool {
        let name = format!("refs/heads/{branch}");
        self.rules.protection.contains_key(branch) || self.rules_of(&name).next().is_some()
    }

    /// Refuses the change of a ref that a ruleset forbids: `creation`, `update`, `deletion`.
    pub fn may_change_ref(&self, call: &Call, name: &str, kind: &str) -> Result<(), Answer> {
        let actor = if call.token.kind == Kind::Person { "RepositoryRole" } else { "Integration" };
        let bypassed = |ruleset: &Value| {
            ruleset["bypass_actors"].as_array().is_some_and(|all| all.iter().any(|one| one["actor_type"] == actor))
        };
        let forbids = |ruleset: &Value| {
            ruleset["rules"].as_array().is_some_and(|rules| rules.iter().any(|rule| rule["type"] == kind))
        };
        if self.rules_of(name).any(|ruleset| forbids(ruleset) && !bypassed(ruleset)) {
            let message = format!("Repository rule violations found\n\nCannot change {name}: {kind} is restricted.");
            return Err(Answer::error(422, &message));
        }
        Ok(())
    }

    /// The rulesets that are in force for a ref.
    fn rules_of(&self, name: &str) -> impl Iterator<Item = &Value> {
        let target = if name.starts_with("refs/tags/") { "tag" } else { "branch" };
        let default = format!("refs/heads/{}", self.default_branch());
        let fits = move |ruleset: &Value, list: &str| {
            let patterns = ruleset["conditions"]["ref_name"][list].as_array();
            let mut patterns = patterns.into_iter().flatten().filter_map(Value::as_str);
            patterns.any(|pattern| match pattern {
                "~ALL" => true,
                "~DEFAULT_BRANCH" => name == default,
                pattern => matches(pattern.as_bytes(), name.as_bytes()),
            })
        };
        self.rules.rulesets.iter().filter(move |ruleset| {
            ruleset["enforcement"] == "active"
                && ruleset["target"] == target
                && fits(ruleset, "include")
                && !fits(ruleset, "exclude")
        })
    }
}

/// Whether a name fits a pattern: `*` is any text without a slash, `**` any text.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], _) => name.is_empty(),
        ([b'*', b'*', rest @ ..], _) => (0..=name.len()).any(|at| matches(rest, &name[at..])),
        ([b'*', rest @ ..], _) => {
            let slash = name.iter().position(|&byte| byte == b'/').unwrap_or(name.len());
            (0..=slash).any(|at| matches(rest, &name[at..]))
        }
        ([b'?', rest @ ..], [_, name @ ..]) => matches(rest, name),
        ([one, rest @ ..], [other, name @ ..]) => one == other && matches(rest, name),
        (_, []) => false,
    }
}

fn list(call: &Call, repository: &mut Repository) -> Outcome {
    repository.need(Feature::Rulesets)?;
    let without = |ruleset: &Value| {
        let mut ruleset = ruleset.clone();
        let fields = ruleset.as_object_mut().expect("a ruleset is an object");
        // A list shows less.
        fields.retain(|name, _| !matches!(name.as_str(), "rules" | "conditions" | "bypass_actors"));
        ruleset
    };
    Ok(Answer::page(call, repository.rules.rulesets.iter().map(without).collect()))
}

fn create(call: &Call, repository: &mut Repository) -> Outcome {
    repository.need(Feature::Rulesets)?;
    let name = call.text("name").unwrap_or_default();
    if repository.rules.rulesets.iter().any(|ruleset| ruleset["name"] == name) {
        return Err(Answer::custom("Ruleset", "name", "Name must be unique"));
    }
    let id = repository.next_id();
    let mut ruleset = json!({
        "id": id, "target": "branch", "source_type": "Repository",
        "source": format!("{}/{}", repository.owner, repository.name), "bypass_actors": [], "rules": [],
        "conditions": {"ref_name": {"include": [], "exclude": []}}, "current_user_can_bypass": "never",
        "node_id": node("RRS", id), "created_at": now(), "updated_at": now(),
        "_links": {
            "self": {"href": repository.url(&format!("/rulesets/{id}"))},
            "html": {"href": repository.html(&format!("/rules/{id}"))},
        },
    });
    change(&mut ruleset, &call.body, &FIELDS);
    repository.rules.rulesets.push(ruleset.clone());
    Ok(Answer::created(ruleset))
}

fn get(call: &Call, repository: &mut Repository) -> Outcome {
    Ok(Answer::ok(by_id(&mut repository.rules.rulesets, call.id("ruleset_id")?)?.clone()))
}

fn put(call: &Call, repository: &mut Repository) -> Outcome {
    let ruleset = by_id(&mut repository.rules.rulesets, call.id("ruleset_id")?)?;
    change(ruleset, &call.body, &FIELDS);
    ruleset["updated_at"] = now().into();
    Ok(Answer::ok(ruleset.clone()))
}

fn delete(call: &Call, repository: &mut Repository) -> Outcome {
    let id = call.id("ruleset_id")?;
    by_id(&mut repository.rules.rulesets, id)?;
    repository.rules.rulesets.retain(|ruleset| ruleset["id"] != id);
    Ok(Answer::empty())
}

fn protection(call: &Call, repository: &mut Repository) -> Outcome {
    let found = repository.rules.protection.get(call.parameter("branch"));
    found.cloned().map(Answer::ok).ok_or_else(|| Answer::error(404, "Branch not protected"))
}

fn protect(call: &Call, repository: &mut Repository) -> Outcome {
    let branch = call.parameter("branch");
    if !repository.refs.contains_key(&format!("refs/heads/{branch}")) {
        return Err(Answer::error(404, "Branch not found"));
    }
    let url = repository.url(&format!("/branches/{branch}/protection"));
    let mut value = json!({ "url": url });
    let body = &call.body;
    let admins = body["enforce_admins"] == true;
    value["enforce_admins"] = json!({"url": format!("{url}/enforce_admins"), "enabled": admins});
    for name in [
        "required_linear_history",
        "allow_force_pushes",
        "allow_deletions",
        "block_creations",
        "required_conversation_resolution",
        "lock_branch",
        "allow_fork_syncing",
    ] {
        value[name] = json!({"enabled": body[name] == true});
    }
    if let Some(checks) = body["required_status_checks"].as_object() {
        value["required_status_checks"] = required_checks(checks, &format!("{url}/required_status_checks"));
    }
    if let Some(reviews) = body["required_pull_request_reviews"].as_object() {
        let mut shown = json!({
            "url": format!("{url}/required_pull_request_reviews"), "dismiss_stale_reviews": false,
            "require_code_owner_reviews": false, "required_approving_review_count": 1, "require_last_push_approval": false,
        });
        let fields = [
            "dismiss_stale_reviews",
            "require_code_owner_reviews",
            "required_approving_review_count",
            "require_last_push_approval",
        ];
        change(&mut shown, &Value::Object(reviews.clone()), &fields);
        value["required_pull_request_reviews"] = shown;
    }
    repository.rules.protection.insert(branch.to_owned(), value.clone());
    Ok(Answer::ok(value))
}

/// Checks are given by name, or by name and app.
fn required_checks(given: &serde_json::Map<String, Value>, url: &str) -> Value {
    let names = |list: &str, name: Option<&str>| -> Vec<Value> {
        let list = given.get(list).and_then(Value::as_array);
        list.into_iter().flatten().map(|value| name.map_or(value, |name| &value[name]).clone()).collect()
    };
    let mut contexts = names("contexts", None);
    contexts.extend(names("checks", Some("context")));
    contexts.dedup();
    let app = |context: &Value| {
        let checks = given.get("checks").and_then(Value::as_array);
        let found = checks.into_iter().flatten().find(|check| check["context"] == *context);
        found.map_or(Value::Null, |check| check["app_id"].clone())
    };
    let checks: Vec<Value> = contexts.iter().map(|name| json!({"context": name, "app_id": app(name)})).collect();
    json!({
        "url": url, "strict": given.get("strict"), "contexts": contexts, "contexts_url": format!("{url}/contexts"),
        "checks": checks,
    })
}

fn unprotect(call: &Call, repository: &mut Repository) -> Outcome {
    let removed = repository.rules.protection.remove(call.parameter("branch"));
    removed.map(|_| Answer::empty()).ok_or_else(|| Answer::error(404, "Branch not protected"))
}
