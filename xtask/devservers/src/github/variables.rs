//! Variables of a repository and of its environments.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::{Answer, Outcome};
use super::call::{Call, change, now};
use super::repository::Repository;
use super::route::Route;
use super::secrets::checked;

const ENVIRONMENT: &str = "/environments/{environment_name}/variables";
const NAMED: &str = "/environments/{environment_name}/variables/{name}";

pub(super) const ROUTES: &[Route] = &[
    Route::new("GET", "/actions/variables", "actions_variables:read", list),
    Route::new("POST", "/actions/variables", "actions_variables:write", create),
    Route::new("GET", "/actions/variables/{name}", "actions_variables:read", get),
    Route::new("PATCH", "/actions/variables/{name}", "actions_variables:write", patch),
    Route::new("DELETE", "/actions/variables/{name}", "actions_variables:write", delete),
    Route::new("GET", ENVIRONMENT, "environments:read", list),
    Route::new("POST", ENVIRONMENT, "environments:write", create),
    Route::new("GET", NAMED, "environments:read", get),
    Route::new("PATCH", NAMED, "environments:write", patch),
    Route::new("DELETE", NAMED, "environments:write", delete),
];

/// Variables by their names, as the API shows them.
pub(super) type Variables = BTreeMap<String, Value>;

impl Repository {
    /// The variables of the repository, or of the environment that a request names.
    fn variables(&mut self, call: &Call) -> Result<&mut Variables, Answer> {
        match call.parameters.get("environment_name") {
            None => Ok(&mut self.variables),
            Some(name) => Ok(&mut self.environments.get_mut(name).ok_or_else(Answer::not_found)?.variables),
        }
    }
}

fn list(call: &Call, repository: &mut Repository) -> Outcome {
    // GitHub's usual page of variables is smaller than others.
    let variables: Vec<Value> = repository.variables(call)?.values().cloned().collect();
    let total = variables.len();
    let (links, page) = super::answer::page(call, variables, 10);
    let answer = Answer::ok(json!({"total_count": total, "variables": page}));
    Ok(links.into_iter().fold(answer, |answer, links| answer.header("link", &links)))
}

fn create(call: &Call, repository: &mut Repository) -> Outcome {
    let name = checked("Variable", call.text("name").unwrap_or_default())?;
    let variables = repository.variables(call)?;
    if variables.contains_key(&name) {
        return Err(Answer::error(409, "Already exists - Variable already exists"));
    }
    let variable = json!({"name": name, "value": call.body["value"], "created_at": now(), "updated_at": now()});
    variables.insert(name, variable);
    Ok(Answer::created(json!({})))
}

fn get(call: &Call, repository: &mut Repository) -> Outcome {
    let name = call.parameter("name").to_ascii_uppercase();
    repository.variables(call)?.get(&name).cloned().map(Answer::ok).ok_or_else(Answer::not_found)
}

fn patch(call: &Call, repository: &mut Repository) -> Outcome {
    let name = call.parameter("name").to_ascii_uppercase();
    let variables = repository.variables(call)?;
    let mut variable = variables.remove(&name).ok_or_else(Answer::not_found)?;
    change(&mut variable, &call.body, &["value"]);
    variable["updated_at"] = now().into();
    let name = call.text("name").map_or(name, str::to_ascii_uppercase);
    variable["name"] = name.as_str().into();
    variables.insert(name, variable);
    Ok(Answer::empty())
}

fn delete(call: &Call, repository: &mut Repository) -> Outcome {
    let name = call.parameter("name").to_ascii_uppercase();
    repository.variables(call)?.remove(&name).map(|_| Answer::empty()).ok_or_else(Answer::not_found)
}
