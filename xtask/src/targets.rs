//! One kind of place to deploy to: what it needs around a release, what would change there, how a release comes up beside
//! the one that serves and takes over from it.

pub mod local;
pub mod migrations;

use std::collections::BTreeMap;

use anyhow::Context as _;

use crate::clients::service::{Answer, Readiness, Service};
use crate::hash::sha256;
use crate::release::{Published, Summary};
use crate::secrets::Secrets;
use crate::state::history::Record;

pub use self::local::{Applied, Local as Place};

/// What the service needs around it, there and running.
pub struct Ground {
    /// Settings that are not secret, by the name of their variable.
    pub plain: BTreeMap<String, String>,
    /// Settings that are.
    pub secrets: Secrets,
    /// Marks that tell a change of a secret, by name.
    pub fingerprints: BTreeMap<String, String>,
    /// Hash over all of the above.
    pub inputs: String,
    /// What there is to say of it.
    pub said: String,
}

impl Ground {
    /// The same, with the plain settings of an earlier release.
    pub fn with_settings(&self, settings: &BTreeMap<String, String>) -> anyhow::Result<Self> {
        let (plain, fingerprints) = (settings.clone(), self.fingerprints.clone());
        let inputs = inputs(&plain, &fingerprints)?;
        Ok(Self { plain, secrets: self.secrets.clone(), fingerprints, inputs, said: self.said.clone() })
    }
}

/// One hash over settings and the marks of secrets.
pub fn inputs(plain: &BTreeMap<String, String>, fingerprints: &BTreeMap<String, String>) -> anyhow::Result<String> {
    let json = serde_json::to_string(&(plain, fingerprints)).context("hash the settings")?;
    Ok(sha256(json.as_bytes()))
}

impl Summary for Ground {
    fn summary(&self) -> String {
        self.said.clone()
    }
}

/// What would change.
pub struct Plan {
    /// For people, a line each.
    pub lines: Vec<String>,
    /// Why it must not be done.
    pub refusals: Vec<String>,
}

impl Plan {
    /// Compares what is to serve with what was live before, oldest first: the last of these serves.
    pub fn compare(published: &Published, ground: &Ground, lives: &[Record]) -> Self {
        let mut plan = Self { lines: Vec::new(), refusals: Vec::new() };
        let Some(live) = lives.last() else {
            plan.lines.push(format!("first release: {}", published.source.version));
            return plan;
        };
        plan.lines.push(format!("{} → {}", live.version(), published.source.version));
        if live.digest.as_deref() == Some(&published.digest) {
            plan.lines.push("the same program".to_owned());
        }
        let compared = migrations::compare(&published.migrations, lives);
        for migration in compared.pending {
            let mark = if migration.irreversible { ", irreversible" } else { "" };
            plan.lines.push(format!("migration {}{mark}", migration.name));
        }
        plan.refusals.extend(compared.refusals);
        let is_here = |name: &str| published.migrations.iter().any(|migration| migration.name == name);
        for gone in live.migrations.iter().filter(|migration| !is_here(&migration.name)) {
            if gone.irreversible {
                plan.refusals.push(format!(
                    "migration {} of {} cannot be undone, and {} does not have it; deploy a commit that has",
                    gone.name,
                    live.version(),
                    published.source.version
                ));
            } else {
                plan.lines.push(format!("migration {} is not in this version", gone.name));
            }
        }
        plan.lines.extend(changed_names("setting", &live.settings, &ground.plain));
        plan.lines.extend(changed_names("secret", &live.secrets, &ground.fingerprints));
        plan
    }
}

impl Summary for Plan {
    fn summary(&self) -> String {
        self.lines.join("\n")
    }
}

/// A release that serves, as the place itself tells.
pub struct Live {
    /// The id of the record that it was started by.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Where people reach it.
    pub address: String,
    /// Where it is asked.
    pub service: Service,
}

impl Live {
    /// Its readiness, if it is ready in this version.
    pub async fn ready_as(&self, version: &str) -> Option<Readiness> {
        match self.service.ask().await {
            Answer::Ready(readiness) if readiness.version == version => Some(readiness),
            _ => None,
        }
    }
}

/// A release that has taken over.
pub struct Switched {
    /// Where people reach it.
    pub address: String,
    /// What it says of itself there.
    pub readiness: Readiness,
}

impl Summary for Switched {
    fn summary(&self) -> String {
        format!("answers at {}", self.address)
    }
}

fn changed_names(what: &str, before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, value) in after {
        match before.get(name) {
            None => lines.push(format!("{what} {name}: new")),
            Some(old) if old != value => lines.push(format!("{what} {name}: changed")),
            Some(_) => {}
        }
    }
    lines.extend(before.keys().filter(|name| !after.contains_key(*name)).map(|name| format!("{what} {name}: gone")));
    lines
}
