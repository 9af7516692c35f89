//! The lines that OpenTofu prints with `-json` (`internal/command/views/json`). Values are not read: sensitive outputs are
//! among them in plain text.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::diagnostic::Diagnostic;

/// One line.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// An error or a warning.
    Diagnostic {
        /// The error or warning.
        diagnostic: Diagnostic,
    },
    /// OpenTofu reads a resource from its provider.
    RefreshStart {
        /// Which resource.
        hook: Hook,
    },
    /// A resource was changed outside of OpenTofu.
    ResourceDrift,
    /// An operation on a resource begins.
    ApplyStart {
        /// The operation.
        hook: Hook,
    },
    /// An operation on a resource succeeded.
    ApplyComplete {
        /// The operation.
        hook: Hook,
    },
    /// An operation on a resource failed.
    ApplyErrored {
        /// The operation.
        hook: Hook,
    },
    /// How many resources were planned or applied.
    ChangeSummary {
        /// By kind of operation.
        changes: Counts,
    },
    /// Text for people. With a state, if that could be saved neither to its backend nor to a file.
    Log {
        /// The state, as it would have been written.
        state: Option<serde_json::Value>,
    },
    /// Anything else, for example that an operation is still running.
    #[serde(other)]
    Other,
}

/// An operation on a resource.
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

/// Numbers of resources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Counts {
    /// Created.
    pub add: usize,
    /// Updated in place.
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
    fn lines_are_read_with_unknown_fields_in_them() {
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
