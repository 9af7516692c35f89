//! Fault injection: `faults.json` in the state folder, read before each create, update and delete.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::value::{Map, Value};

#[derive(Debug)]
pub struct Faults {
    file: PathBuf,
    /// Held while the file is read and its `times` are decremented: calls run concurrently.
    lock: Mutex<()>,
}

/// One entry of the file. Resources are selected by type and values, because OpenTofu does not tell providers their
/// addresses.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub r#type: String,
    /// The values that the resource must have, such as `{"name": "app"}`.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty", rename = "where")]
    pub only: serde_json::Map<String, serde_json::Value>,
    /// Applies to all operations if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub during: Option<Operation>,
    /// How often the fault occurs, decremented in the file. Always if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    pub fault: Fault,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    Create,
    Update,
    Delete,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The call fails with this message before it changes anything.
    Fail(String),
    /// The call fails with this message after it has made its changes.
    FailAfter(String),
    /// The call fails because the quota of this is exceeded.
    Quota(String),
    /// The call fails with 429 Too Many Requests.
    RateLimit,
    /// The call takes this many seconds. It fails early if the user interrupts OpenTofu.
    Slow(f64),
    /// The call succeeds and the resource's `status` is `error`, with this message in `error_message`.
    ErrorStatus(String),
    /// The call succeeds, and the stored resource then has these values instead.
    Drift(serde_json::Map<String, serde_json::Value>),
    /// The provider crashes before it changes anything.
    Die,
    /// The provider crashes after it has made its changes and before it responds.
    DieAfter,
}

/// The faults of one call, in the order in which they take effect.
#[derive(Debug, Default)]
pub struct Injected {
    pub crash_before: bool,
    pub delay: Duration,
    pub fail_before: Option<Failure>,
    /// Values to set in the result.
    pub result: Map,
    /// Values to set in the stored resource only.
    pub drift: Map,
    pub crash_after: bool,
    pub fail_after: Option<Failure>,
}

#[derive(Debug)]
pub struct Failure {
    pub summary: String,
    pub detail: String,
}

impl Faults {
    pub fn in_folder(folder: &Path) -> Self {
        Self { file: folder.join("faults.json"), lock: Mutex::new(()) }
    }

    /// Returns the faults of a call on a resource of type `name`, and decrements their `times`. Fails if the file is not
    /// valid.
    pub fn take(&self, name: &str, during: Operation, values: &Map) -> Result<Injected> {
        let _lock = self.lock.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut injected = Injected::default();
        if !self.file.exists() {
            return Ok(injected);
        }
        let text = fs_err::read_to_string(&self.file)?;
        let context = || format!("{} is not a list of faults", self.file.display());
        let mut entries: Vec<Entry> = serde_json::from_str(&text).with_context(context)?;
        let mut counted = false;
        for entry in entries.iter_mut().filter(|entry| entry.matches(name, during, values)) {
            injected.add(&entry.fault, name);
            if let Some(times) = &mut entry.times {
                *times -= 1;
                counted = true;
            }
        }
        if counted {
            let text = serde_json::to_string_pretty(&entries).expect("entries are JSON");
            let temporary = self.file.with_extension("new");
            fs_err::write(&temporary, text)?;
            fs_err::rename(&temporary, &self.file)?;
        }
        Ok(injected)
    }
}

impl Entry {
    fn matches(&self, name: &str, during: Operation, values: &Map) -> bool {
        let equal =
            |(name, value): (&String, &serde_json::Value)| values.get(name) == Some(&Value::from(value.clone()));
        self.r#type == name
            && self.times != Some(0)
            && self.during.is_none_or(|only| only == during)
            && self.only.iter().all(equal)
    }
}

impl Injected {
    fn add(&mut self, fault: &Fault, name: &str) {
        let failure = |summary: &str, detail: &str| {
            Some(Failure { summary: format!("{name}: {summary}"), detail: detail.to_owned() })
        };
        match fault {
            Fault::Fail(message) => self.fail_before = failure(message, "injected by faults.json"),
            Fault::FailAfter(message) => self.fail_after = failure(message, "injected by faults.json"),
            Fault::Quota(what) => {
                self.fail_before = failure("quota exceeded", &format!("403 Forbidden: quota exceeded: {what}"));
            }
            Fault::RateLimit => {
                self.fail_before = failure("too many requests", "429 Too Many Requests: try again later");
            }
            Fault::Slow(seconds) => self.delay = Duration::try_from_secs_f64(*seconds).unwrap_or_default(),
            Fault::ErrorStatus(message) => {
                self.result.insert("status".to_owned(), "error".into());
                self.result.insert("error_message".to_owned(), message.as_str().into());
            }
            Fault::Drift(values) => {
                self.drift.extend(values.iter().map(|(name, value)| (name.clone(), value.clone().into())));
            }
            Fault::Die => self.crash_before = true,
            Fault::DieAfter => self.crash_after = true,
        }
    }
}
