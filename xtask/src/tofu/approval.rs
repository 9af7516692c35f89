//! What was planned, as it was when somebody looked at it. Saying yes to it means this plan file, this commit and this
//! version of the state, for a while; whatever of them is another one needs a new plan.

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::Stack;
use crate::failure::Failure;
use crate::hash::{sha256, sha256_file};
use crate::release::Source;
use crate::state::store::replace_file;
use crate::tools::tofu::StateVersion;

/// A plan that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Of what environment.
    pub environment: String,
    /// Of what was checked out: a commit, or a commit and the hash of what was changed since.
    pub version: String,
    /// The SHA-256 of the plan file.
    pub plan: String,
    /// The state that it starts from.
    pub state: StateVersion,
    /// When it was made.
    pub made: Timestamp,
}

/// Where the plan of an environment is kept.
pub struct Shelf {
    folder: Utf8PathBuf,
}

impl Shelf {
    /// In this folder.
    pub fn new(folder: &Utf8Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The plan file.
    pub fn plan(&self) -> Utf8PathBuf {
        self.folder.join("plan.tfplan")
    }

    /// Keeps the record beside the plan file.
    pub fn keep(&self, record: &Record) -> Result<()> {
        replace_file(&self.record(), &serde_json::to_vec_pretty(record)?)
    }

    /// The record, if a plan is kept.
    pub fn find(&self) -> Result<Option<Record>> {
        let text = match fs_err::read(self.record()) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        serde_json::from_slice(&text).map(Some).with_context(|| format!("read {}", self.record()))
    }

    /// Throws plan and record away.
    pub fn clear(&self) -> Result<()> {
        for path in [self.record(), self.plan()] {
            match fs_err::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    fn record(&self) -> Utf8PathBuf {
        self.folder.join("plan.json")
    }
}

impl Record {
    /// What stands for all of it: whoever says this has seen the plan.
    pub fn approval(&self) -> String {
        let Self { environment, version, plan, state: StateVersion { lineage, serial }, made } = self;
        sha256(format!("{environment}\n{version}\n{plan}\n{lineage}\n{serial}\n{made}\n").as_bytes())[..32].to_owned()
    }

    /// Whether it may be applied to what there is now. Fails with what has changed since.
    pub fn fits(&self, stack: &Stack, source: &Source, file: &Utf8Path, now: Timestamp) -> Result<(), Failure> {
        let refused = |why: String| Err(again(&self.environment, &why));
        if source.version != source.commit[..12] {
            return refused(format!(
                "what is checked out is {}, and only a commit is applied; commit or stash the changes",
                source.version
            ));
        }
        if source.version != self.version {
            return refused(format!("the plan was made of {}, and {} is checked out", self.version, source.version));
        }
        if !file.exists() || sha256_file(file)? != self.plan {
            return refused(format!("{file} is not the file that was planned"));
        }
        let age = now.duration_since(self.made);
        let lasts = SignedDuration::try_from(stack.approval_lasts).context("read how long an approval lasts")?;
        if age > lasts || age.is_negative() {
            let (minutes, lasts) = (age.as_mins(), lasts.as_mins());
            return refused(format!("the plan is {minutes} minutes old, and is good for {lasts} (`approval_minutes`)"));
        }
        Ok(())
    }

    /// Whether the state is the one that it starts from.
    pub fn is_of(&self, state: &StateVersion) -> Result<(), Failure> {
        if self.state == *state {
            return Ok(());
        }
        let why = if self.state.lineage == state.lineage {
            format!("the state has changed since: it was number {}, and is number {}", self.state.serial, state.serial)
        } else {
            "the state is another one than the plan was made of".to_owned()
        };
        Err(again(&self.environment, &why))
    }
}

/// A plan that cannot be applied, and what to type.
pub fn again(environment: &str, why: &str) -> Failure {
    Failure::Refused(anyhow!("nothing was applied: {why}\n  make a new plan: cargo xtask tofu plan {environment}"))
}
