//! What shall go wrong: `faults.json` in the folder of the state, looked at whenever something is made, changed or
//! ended.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::value::{Map, Value};

/// The file.
#[derive(Debug)]
pub struct Faults {
    file: PathBuf,
    /// Calls come side by side, and each entry strikes as often as it says.
    turn: Mutex<()>,
}

/// One entry of the file. OpenTofu does not tell a provider the address of a resource, so it is named by what it is.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// A type of resource.
    pub r#type: String,
    /// Only such with these values, as `{"name": "app"}`.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty", rename = "where")]
    pub only: serde_json::Map<String, serde_json::Value>,
    /// Only when this is done; otherwise whatever is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub during: Option<Operation>,
    /// How often; otherwise always. Counted down in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// What happens.
    pub fault: Fault,
}

/// What is done to a resource.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// It is made.
    Create,
    /// It is changed.
    Update,
    /// It is ended.
    Delete,
}

/// What goes wrong.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The call fails with this message; nothing has changed.
    Fail(String),
    /// The call fails with this message, though what it was to do is done.
    FailAfter(String),
    /// The provider's quota of this is used up.
    Quota(String),
    /// The provider answers that there were too many requests.
    RateLimit,
    /// The call takes this many seconds, and ends early with an error when OpenTofu is asked to stop.
    Slow(f64),
    /// The call succeeds and the resource's `status` is `error`, with this message in `error_message`.
    ErrorStatus(String),
    /// Right after the call somebody else sets these values.
    Drift(serde_json::Map<String, serde_json::Value>),
    /// The provider's process ends before the call does anything.
    Die,
    /// The provider's process ends when the call has done its work and not answered.
    DieAfter,
}

/// What goes wrong in one call, sorted by when.
#[derive(Debug, Default)]
pub struct Struck {
    /// How long it takes at least.
    pub wait: Duration,
    /// The process ends before.
    pub die: bool,
    /// It fails before.
    pub fail: Option<Failure>,
    /// What is changed in its result.
    pub set: Map,
    /// What is changed behind its back.
    pub drift: Map,
    /// The process ends after.
    pub die_after: bool,
    /// It fails after.
    pub fail_after: Option<Failure>,
}

/// An error as a provider says it.
#[derive(Debug)]
pub struct Failure {
    /// In a few words.
    pub summary: String,
    /// The rest.
    pub detail: String,
}

impl Faults {
    /// In the state's folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self { file: folder.join("faults.json"), turn: Mutex::new(()) }
    }

    /// What strikes this call, taken off the count. Fails on a file that cannot be read as entries.
    pub fn strike(&self, name: &str, during: Operation, values: &Map) -> Result<Struck> {
        let _turn = self.turn.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut struck = Struck::default();
        if !self.file.exists() {
            return Ok(struck);
        }
        let text = fs_err::read_to_string(&self.file)?;
        let said = || format!("{} is no list of faults", self.file.display());
        let mut entries: Vec<Entry> = serde_json::from_str(&text).with_context(said)?;
        let mut counted = false;
        for entry in entries.iter_mut().filter(|entry| entry.fits(name, during, values)) {
            struck.add(&entry.fault, name);
            if let Some(times) = &mut entry.times {
                *times -= 1;
                counted = true;
            }
        }
        if counted {
            let text = serde_json::to_string_pretty(&entries).expect("entries are JSON");
            let beside = self.file.with_extension("new");
            fs_err::write(&beside, text)?;
            fs_err::rename(&beside, &self.file)?;
        }
        Ok(struck)
    }
}

impl Entry {
    fn fits(&self, name: &str, during: Operation, values: &Map) -> bool {
        let same = |(name, value): (&String, &serde_json::Value)| values.get(name) == Some(&Value::from(value.clone()));
        self.r#type == name
            && self.times != Some(0)
            && self.during.is_none_or(|only| only == during)
            && self.only.iter().all(same)
    }
}

impl Struck {
    fn add(&mut self, fault: &Fault, name: &str) {
        let fail =
            |summary: &str, detail: &str| Some(Failure { summary: summary.to_owned(), detail: detail.to_owned() });
        match fault {
            Fault::Fail(message) => self.fail = fail(&format!("{name}: {message}"), "on request, by faults.json"),
            Fault::FailAfter(message) => {
                self.fail_after = fail(&format!("{name}: {message}"), "on request, by faults.json")
            }
            Fault::Quota(what) => {
                self.fail = fail(&format!("{name}: quota exceeded"), &format!("403 Forbidden: quota exceeded: {what}"));
            }
            Fault::RateLimit => {
                self.fail = fail(&format!("{name}: too many requests"), "429 Too Many Requests: try again later");
            }
            Fault::Slow(seconds) => self.wait = Duration::try_from_secs_f64(*seconds).unwrap_or_default(),
            Fault::ErrorStatus(message) => {
                self.set.insert("status".to_owned(), "error".into());
                self.set.insert("error_message".to_owned(), message.as_str().into());
            }
            Fault::Drift(values) => {
                self.drift.extend(values.iter().map(|(name, value)| (name.clone(), value.clone().into())));
            }
            Fault::Die => self.die = true,
            Fault::DieAfter => self.die_after = true,
        }
    }
}
