//! What happened in a repository, and whether it starts workflows.

use serde_json::Value;

use super::repository::Repository;
use super::tokens::Kind;

/// An event: `release` with the action `released`, `push`, `workflow_dispatch`, …
#[derive(Clone, Debug)]
pub struct Event {
    pub name: String,
    pub action: Option<String>,
    /// Whose token made it.
    pub by: Kind,
    /// The ids of the runs that it started.
    pub runs: Vec<u64>,
}

impl Repository {
    /// Notes an event and starts the workflows that wait for it: one of a workflow's own token starts none, except the two dispatches.
    pub fn happened(&mut self, by: Kind, name: &str, action: Option<&str>, reference: &str, payload: Value) {
        let starts = by != Kind::Workflow || name == "repository_dispatch";
        let runs = if starts { self.start_workflows(by, name, action, reference, &payload) } else { Vec::new() };
        self.note(by, name, action, runs);
    }

    /// Notes an event that has started these runs.
    pub fn note(&mut self, by: Kind, name: &str, action: Option<&str>, runs: Vec<u64>) {
        self.events.push(Event { name: name.to_owned(), action: action.map(str::to_owned), by, runs });
    }
}
