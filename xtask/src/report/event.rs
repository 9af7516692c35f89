//! The events of `--json`: one a line, in the format of `xtask/schema/event.json`.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{Step, escape};

/// Incremented when a field changes its meaning or is removed.
const SCHEMA: u32 = 1;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A command (without a step) or a step begins.
    Started,
    /// A step makes progress; at most one event a second.
    Progress,
    /// A step succeeded.
    Finished,
    /// The result of an earlier run was reused.
    Reused,
    /// A step failed.
    Failed,
    /// Information.
    Note,
    /// A warning.
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
    escape::json(&serde_json::to_string(&event).expect("an event has only string keys, so it always serialises"))
}
