//! The lines that OpenTofu says with `-json` (`internal/command/views/json`). Values are not read: an output that is
//! sensitive is among them in the clear.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::diagnostic::Diagnostic;

/// What a line tells.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// Something is wrong.
    Diagnostic {
        /// What.
        diagnostic: Diagnostic,
    },
    /// A resource is read, to see what it is like now.
    RefreshStart {
        /// Which.
        hook: Hook,
    },
    /// Somebody else has changed a resource.
    ResourceDrift,
    /// Something begins to be done to a resource.
    ApplyStart {
        /// Which, and what.
        hook: Hook,
    },
    /// It is done.
    ApplyComplete {
        /// Which, what, and how long it took.
        hook: Hook,
    },
    /// It failed.
    ApplyErrored {
        /// Which, what, and how long it took.
        hook: Hook,
    },
    /// How much was planned or done.
    ChangeSummary {
        /// By kind.
        changes: Counts,
    },
    /// For people; or a state that could be saved nowhere at all, as it would have been written.
    Log {
        /// The state.
        state: Option<serde_json::Value>,
    },
    /// Anything else: that something goes on, for one, every ten seconds.
    #[serde(other)]
    Other,
}

/// What is done to a resource.
#[derive(Debug, Deserialize)]
pub struct Hook {
    /// The resource.
    pub resource: Resource,
    /// `create`, `update`, `delete`, `read`, …
    #[serde(default)]
    pub action: String,
    /// How long it has taken so far, in whole seconds.
    #[serde(default, rename = "elapsed_seconds", deserialize_with = "seconds")]
    pub elapsed: Duration,
}

/// A resource.
#[derive(Debug, Deserialize)]
pub struct Resource {
    /// Its address.
    pub addr: String,
}

/// How many resources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Counts {
    /// Made.
    pub add: usize,
    /// Changed in place.
    pub change: usize,
    /// Deleted.
    pub remove: usize,
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Ok(Duration::try_from_secs_f64(f64::deserialize(deserializer)?).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_whatever_else_they_have() {
        let line = r#"{"@level":"info","@message":"a","hook":{"resource":{"addr":"t.a","module":""},"action":"create","elapsed_seconds":3},"type":"apply_complete"}"#;
        let Event::ApplyComplete { hook } = serde_json::from_str(line).unwrap() else { panic!("{line}") };
        assert_eq!((hook.resource.addr.as_str(), hook.elapsed), ("t.a", Duration::from_secs(3)));
        let outputs = r#"{"outputs":{"a":{"sensitive":true,"value":"x"}},"type":"outputs"}"#;
        assert!(matches!(serde_json::from_str(outputs).unwrap(), Event::Other));
        let drift = r#"{"change":{"resource":{"addr":"t.a"},"action":"update"},"type":"resource_drift"}"#;
        assert!(matches!(serde_json::from_str(drift).unwrap(), Event::ResourceDrift));
        let errored =
            r#"{"hook":{"resource":{"addr":"t.a"},"action":"create","elapsed_seconds":0},"type":"apply_errored"}"#;
        assert!(matches!(serde_json::from_str(errored).unwrap(), Event::ApplyErrored { .. }));
        let odd = r#"{"type":"diagnostic","diagnostic":{"severity":"error","summary":"s","detail":"d","range":{"filename":"main.tf","start":{"line":3,"column":1,"byte":9},"end":{"line":3,"column":2,"byte":10}},"snippet":{}}}"#;
        let Event::Diagnostic { diagnostic } = serde_json::from_str(odd).unwrap() else { panic!("{odd}") };
        assert_eq!(diagnostic.text("infra".into()), "infra/main.tf:3:1: s\n  d");
    }
}
