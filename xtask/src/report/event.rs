//! The events of `--json`: one line each, with the shape of `xtask/schema/event.json`.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::Step;

/// Raised whenever a field changes its meaning or goes away.
const SCHEMA: u32 = 1;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A story (no step) or a step begins.
    Started,
    /// A step goes on; at most one event a second.
    Progress,
    /// A step is done.
    Finished,
    /// A step was done by an earlier run and still holds.
    Reused,
    /// A step failed.
    Failed,
    /// Worth knowing.
    Note,
    /// May become a problem.
    Warning,
    /// What went wrong; its causes are in `detail.causes`.
    Error,
    /// The answer of the command.
    Result,
}

#[derive(Serialize)]
struct Event<'a> {
    schema: u32,
    time: Timestamp,
    step: Option<Step>,
    state: State,
    detail: &'a Value,
}

pub(super) fn line(step: Option<Step>, state: State, detail: &Value) -> String {
    let event = Event { schema: SCHEMA, time: Timestamp::now(), step, state, detail };
    serde_json::to_string(&event).expect("an event has only string keys, so it always serialises")
}
