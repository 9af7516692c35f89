//! What a repository allows its workflows, and whether its releases are immutable.

use serde_json::{Value, json};

use super::answer::{Answer, Outcome};
use super::call::{Call, change};
use super::plan::Feature;
use super::repository::Repository;
use super::route::Route;

const READ: &str = "administration:read";
const WRITE: &str = "administration:write";
const FORKS: &str = "/actions/permissions/fork-pr-contributor-approval";

pub(super) const ROUTES: &[Route] = &[
    Route::new("GET", "/actions/permissions", READ, permissions),
    Route::new("PUT", "/actions/permissions", WRITE, put_permissions),
    Route::new("GET", "/actions/permissions/selected-actions", READ, selected),
    Route::new("PUT", "/actions/permissions/selected-actions", WRITE, put_selected),
    Route::new("GET", "/actions/permissions/workflow", READ, |_, repository| {
        Ok(Answer::ok(repository.actions.workflow.clone()))
    }),
    Route::new("PUT", "/actions/permissions/workflow", WRITE, put_workflow),
    Route::new("GET", FORKS, READ, |_, repository| {
        repository.need(Feature::ForkApproval)?;
        Ok(Answer::ok(repository.actions.forks.clone()))
    }),
    Route::new("PUT", FORKS, WRITE, put_forks),
    Route::new("GET", "/immutable-releases", READ, immutable),
    Route::new("PUT", "/immutable-releases", WRITE, |_, repository| set_immutable(repository, true)),
    Route::new("DELETE", "/immutable-releases", WRITE, |_, repository| set_immutable(repository, false)),
];

/// The settings of GitHub Actions, as a new repository has them.
pub(super) struct Actions {
    permissions: Value,
    selected: Value,
    workflow: Value,
    forks: Value,
}

impl Default for Actions {
    fn default() -> Self {
        Self {
            permissions: json!({"enabled": true, "allowed_actions": "all", "sha_pinning_required": false}),
            selected: json!({"github_owned_allowed": true, "verified_allowed": false, "patterns_allowed": []}),
            workflow: json!({"default_workflow_permissions": "write", "can_approve_pull_request_reviews": false}),
            forks: json!({"approval_policy": "first_time_contributors"}),
        }
    }
}

fn permissions(_: &Call, repository: &mut Repository) -> Outcome {
    let mut permissions = repository.actions.permissions.clone();
    if permissions["allowed_actions"] == "selected" {
        permissions["selected_actions_url"] = repository.url("/actions/permissions/selected-actions").into();
    }
    if !repository.offers(Feature::ShaPinning) {
        permissions.as_object_mut().expect("permissions are an object").remove("sha_pinning_required");
    }
    Ok(Answer::ok(permissions))
}

fn put_permissions(call: &Call, repository: &mut Repository) -> Outcome {
    change(&mut repository.actions.permissions, &call.body, &["enabled", "allowed_actions", "sha_pinning_required"]);
    Ok(Answer::empty())
}

fn selected(_: &Call, repository: &mut Repository) -> Outcome {
    repository.need_selected()?;
    Ok(Answer::ok(repository.actions.selected.clone()))
}

fn put_selected(call: &Call, repository: &mut Repository) -> Outcome {
    repository.need_selected()?;
    let fields = ["github_owned_allowed", "verified_allowed", "patterns_allowed"];
    let taken = if repository.offers(Feature::AllowedActions) { &fields[..] } else { &fields[..2] };
    change(&mut repository.actions.selected, &call.body, taken);
    Ok(Answer::empty())
}

fn put_workflow(call: &Call, repository: &mut Repository) -> Outcome {
    let fields = ["default_workflow_permissions", "can_approve_pull_request_reviews"];
    change(&mut repository.actions.workflow, &call.body, &fields);
    Ok(Answer::empty())
}

fn put_forks(call: &Call, repository: &mut Repository) -> Outcome {
    repository.need(Feature::ForkApproval)?;
    change(&mut repository.actions.forks, &call.body, &["approval_policy"]);
    Ok(Answer::empty())
}

/// 404 where they are not immutable, as GitHub documents it.
fn immutable(_: &Call, repository: &mut Repository) -> Outcome {
    if !repository.releases.immutable {
        return Err(Answer::not_found());
    }
    Ok(Answer::ok(json!({"enabled": true, "enforced_by_owner": false})))
}

fn set_immutable(repository: &mut Repository, immutable: bool) -> Outcome {
    repository.need(Feature::ImmutableReleases)?;
    repository.releases.immutable = immutable;
    Ok(Answer::empty())
}

impl Repository {
    fn need_selected(&self) -> Result<(), Answer> {
        if self.actions.permissions["allowed_actions"] == "selected" {
            return Ok(());
        }
        Err(Answer::error(409, "Conflict: the repository's allowed_actions are not \"selected\"."))
    }
}
