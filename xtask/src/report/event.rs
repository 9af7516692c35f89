//! The events of `--json`: one JSON object per line, as `xtask/schema/event.json` describes it.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::Step;

/// Increased when a field is removed or changes its meaning.
const SCHEMA: u32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A command (without a step) or a step begins.
    Started,
    /// Progress of a step; at most one event per second.
    Progress,
    /// A step succeeded.
    Finished,
    /// A step used the result of an earlier run.
    Reused,
    /// A step failed.
    Failed,
    /// Information.
    Note,
    Warning,
    /// An error; its causes are in `detail.causes`.
    Error,
    /// The result of the command.
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
