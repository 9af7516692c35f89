//! Who has access to a repository: people and teams.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::{Answer, Outcome};
use super::call::{Call, node};
use super::repository::{Repository, user};
use super::route::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::new("GET", "/collaborators/{username}/permission", "metadata:read", permission),
    Route::new("GET", "/teams", "administration:read", teams),
];

/// People with their ids and permissions, and teams with their ids.
#[derive(Default)]
pub(super) struct People {
    pub users: BTreeMap<String, (u64, String)>,
    pub teams: BTreeMap<String, u64>,
}

/// A team as GitHub shows it in other things.
pub(super) fn team(api: &str, slug: &str, id: u64) -> Value {
    let url = format!("{api}/teams/{id}");
    json!({
        "id": id, "node_id": node("T", id), "url": url, "members_url": format!("{url}/members{{/member}}"),
        "name": slug, "slug": slug, "description": null, "permission": "push",
        "privacy": "closed", "html_url": format!("https://github.com/orgs/acme/teams/{slug}"),
        "repositories_url": format!("{url}/repos"), "parent": null, "type": "organization",
    })
}

/// 404 for a name that no account has.
fn permission(call: &Call, repository: &mut Repository) -> Outcome {
    let login = call.parameter("username");
    let (id, permission) = repository.people.users.get(login).ok_or_else(Answer::not_found)?;
    let mut user = user(&call.api, login, *id);
    user["role_name"] = permission.as_str().into();
    Ok(Answer::ok(json!({"permission": permission, "role_name": permission, "user": user})))
}

fn teams(call: &Call, repository: &mut Repository) -> Outcome {
    let teams = repository.people.teams.iter().map(|(slug, id)| team(&call.api, slug, *id));
    Ok(Answer::page(call, teams.collect()))
}
