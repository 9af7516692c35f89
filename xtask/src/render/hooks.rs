//! The user's own jobs and steps, as text at their place in a workflow.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_yaml::{Mapping, Value};

use crate::config::{Hooks, Workflow};

/// Blanks before the items of a job's `steps`.
const STEPS: usize = 6;

/// Blanks before the id of a job.
const JOBS: usize = 2;

/// The text of each place; empty where the user has no step.
pub fn steps(workflow: Workflow, hooks: Option<&Hooks>) -> Result<BTreeMap<&'static str, String>> {
    let text = |place: &&'static str| {
        let steps = hooks.and_then(|hooks| hooks.steps.get(place)).filter(|steps| !steps.is_empty());
        let text = steps.map(|steps| indented(&Value::Sequence(steps.clone()), STEPS)).transpose()?;
        Ok((*place, text.unwrap_or_default()))
    };
    workflow.places().iter().map(text).collect()
}

/// The text of the user's jobs; empty if there are none.
pub fn jobs(hooks: Option<&Hooks>) -> Result<String> {
    let jobs = hooks.map(|hooks| &hooks.jobs).filter(|jobs| !jobs.is_empty());
    let Some(jobs) = jobs else { return Ok(String::new()) };
    let jobs: Mapping = jobs.iter().map(|(id, job)| (Value::from(id.as_str()), job.clone())).collect();
    indented(&Value::Mapping(jobs), JOBS)
}

/// The jobs of the user that wait for no other: they must pass before the image is pushed.
pub fn independent(hooks: Option<&Hooks>) -> Vec<&str> {
    let jobs = hooks.iter().flat_map(|hooks| &hooks.jobs);
    jobs.filter(|(_, job)| job.get("needs").is_none()).map(|(id, _)| id.as_str()).collect()
}

fn indented(value: &Value, blanks: usize) -> Result<String> {
    let text = serde_yaml::to_string(value).context("write the hooks of deploy.yaml")?;
    let indent = " ".repeat(blanks);
    let line = |line: &str| if line.is_empty() { String::new() } else { format!("{indent}{line}") };
    Ok(text.trim_end().lines().map(line).collect::<Vec<_>>().join("\n"))
}
