//! The records: one immutable object for every deploy and rollback that ended, however it ended.
//!
//! Their keys sort newest first (`key.rs`), so the newest one is the first of a list, however many there are. There is no object
//! beside the records that says which is the newest: a process that is killed between two writes would leave it wrong.

mod key;
mod read;
mod uses;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub(super) use self::key::FOLDER;
use self::key::Key;
pub use self::read::{NewestFirst, find, live, read_all, recent, with_id};
pub use self::uses::{refuse_without_live, uses, without_live};
use super::store::{Put, Store};
use crate::release::{Migration, Provenance, Source, WayBack};
use crate::report::Step;

const SCHEMA: u32 = 1;

/// How a deploy ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It serves.
    Live,
    /// It failed before anything changed for users.
    Failed,
    /// It was not healthy, and the previous release serves.
    Restored,
    /// It was not healthy, and no other release serves.
    NotRestored,
    /// A person, a signal or the loss of the lease ended it.
    Aborted,
}

impl Outcome {
    /// For tables.
    pub fn words(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Failed => "failed",
            Self::Restored => "restored",
            Self::NotRestored => "not restored",
            Self::Aborted => "aborted",
        }
    }
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A commit was deployed.
    Deploy,
    /// An earlier release was brought back.
    Rollback,
}

/// One step of the deploy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Which.
    pub step: Step,
    /// How long it took.
    pub seconds: f64,
    /// Whether an earlier run had done it.
    pub reused: bool,
}

/// The immutable record of one deploy or rollback.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Raised when a field changes its meaning.
    pub schema: u32,
    /// Begins with the time, so that ids sort by it.
    pub id: String,
    /// What was asked for.
    pub kind: Kind,
    /// Where to.
    pub environment: String,
    /// What was deployed, with its whole commit; none when it failed before that was known.
    pub source: Option<Source>,
    /// Names the bytes that serve: `sha256:<hex>` over the binary and the web files; none when none were made.
    pub digest: Option<String>,
    /// Where the release answered when it went live.
    #[serde(default)]
    pub address: Option<String>,
    /// The platform's id of what runs it, such as `fr-par/<UUID>`; none on this machine.
    #[serde(default)]
    pub container: Option<String>,
    /// Where there are several Docker hosts: the version that each had at the end; none where none served, or the host was away.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: BTreeMap<String, Option<String>>,
    /// Hash of everything that went in besides the bytes: settings, secrets' fingerprints.
    pub inputs: Option<String>,
    /// What the plan said.
    pub plan: Vec<String>,
    /// The migrations of this release, oldest first; the last one is the head.
    pub migrations: Vec<Migration>,
    /// The proof of who built it; none where the environment requires none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// Whether the release that served before can start again; none when no migration was new, or one is irreversible.
    #[serde(default)]
    pub way_back: Option<WayBack>,
    /// Values of the settings that are not secret.
    pub settings: BTreeMap<String, String>,
    /// Marks that tell a change of a secret, by name.
    pub secrets: BTreeMap<String, String>,
    /// `user@machine`.
    pub who: String,
    /// The toolkit's version.
    pub toolkit: String,
    /// The lease's token: grows with every holder.
    pub token: u64,
    /// The id of the record that served before.
    pub previous: Option<String>,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// Its steps.
    pub steps: Vec<Timing>,
    /// How it ended.
    pub outcome: Outcome,
    /// What went wrong; none when it is live.
    pub error: Option<String>,
    /// The last answers of a release that was not healthy, oldest first, with their times; a few short lines without secrets.
    #[serde(default)]
    pub answers: Vec<String>,
    /// The last lines that a release logged which failed after it was started.
    #[serde(default)]
    pub log: Vec<String>,
    /// Of a release of a stack that went live: that nothing of this record was changed since. See `targets/stack/signed.rs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

impl Record {
    /// A record that begins now, of nothing yet.
    pub fn begin(id: String, kind: Kind, environment: &str, token: u64) -> Self {
        let now = Timestamp::now();
        Self {
            schema: SCHEMA,
            id,
            kind,
            environment: environment.to_owned(),
            source: None,
            address: None,
            container: None,
            hosts: BTreeMap::new(),
            digest: None,
            inputs: None,
            plan: Vec::new(),
            migrations: Vec::new(),
            provenance: None,
            way_back: None,
            settings: BTreeMap::new(),
            secrets: BTreeMap::new(),
            who: crate::tools::host::who().to_owned(),
            toolkit: env!("CARGO_PKG_VERSION").to_owned(),
            token,
            previous: None,
            started: now,
            ended: now,
            steps: Vec::new(),
            outcome: Outcome::Failed,
            error: None,
            answers: Vec::new(),
            log: Vec::new(),
            signature: None,
        }
    }

    /// Says how it ended, and what went wrong.
    pub fn end(&mut self, outcome: Outcome, error: Option<String>) {
        (self.outcome, self.error) = (outcome, error);
    }

    /// Whether both are of the same release: of the same version, whose digits are the beginning of a commit's, and of the
    /// same whole commit.
    pub fn is_same_release(&self, other: &Self) -> bool {
        let (one, two) = (self.source.as_ref(), other.source.as_ref());
        self.version() == other.version() && one.map(|source| &source.commit) == two.map(|source| &source.commit)
    }

    /// Whether its version or its whole commit begins with this text.
    pub fn begins_with(&self, text: &str) -> bool {
        let commit = self.source.as_ref().filter(|source| source.is_clean()).map(|source| source.commit.as_str());
        self.version().starts_with(text) || commit.is_some_and(|commit| commit.starts_with(text))
    }

    /// The version that was deployed, or a dash.
    pub fn version(&self) -> &str {
        self.source.as_ref().map_or("-", |source| &source.version)
    }
}

/// A new id: the time, for people and for order, and six random digits, for two in the same second.
pub fn new_id() -> Result<String> {
    let mut random = [0u8; 3];
    getrandom::fill(&mut random).context("read random bytes from the operating system")?;
    Ok(format!("{}-{}", Timestamp::now().strftime("%Y%m%dT%H%M%SZ"), hex::encode(random)))
}

/// Writes a record. A record that is there is never replaced, and a deploy whose lease was taken over cannot write once
/// the next holder of the lease has written.
pub async fn append(store: &Store, record: &Record) -> Result<()> {
    let (keys, newest) = read::newest_keys(store).await?;
    if let Some(key) = keys.iter().find(|key| Key::parse(key).id == record.id) {
        anyhow::bail!("there is a record {key} already; records are never replaced");
    }
    if let Some((token, key)) = newest
        && token > record.token
    {
        anyhow::bail!("{key} was written by a later holder of the lease; this deploy's record is void");
    }
    let mut bytes = serde_json::to_vec_pretty(record).context("write the record as JSON")?;
    bytes.push(b'\n');
    let key = Key::of(record.token, &record.id)?;
    match store.put_if_absent(&key, &bytes).await.context("write the record")? {
        Put::Written { .. } => Ok(()),
        Put::Refused => anyhow::bail!("there is a record {key} already; records are never replaced"),
    }
}

/// The records of releases that went live, in the order of `records`.
pub fn live_records(records: &[Record]) -> Vec<Record> {
    records.iter().filter(|record| record.outcome == Outcome::Live).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::store::scratch;

    #[tokio::test]
    async fn a_record_is_read_back_and_never_replaced() {
        let (_folder, store) = scratch();
        let mut record = Record::begin(new_id().unwrap(), Kind::Deploy, "local", 1);
        record.outcome = Outcome::Restored;
        append(&store, &record).await.unwrap();
        assert_eq!(read_all(&store).await.unwrap(), [record.clone()]);
        record.outcome = Outcome::Live;
        assert!(append(&store, &record).await.unwrap_err().to_string().contains("never replaced"));
        assert_eq!(read_all(&store).await.unwrap()[0].outcome, Outcome::Restored);
    }

    #[tokio::test]
    async fn a_holder_that_was_taken_over_from_cannot_write() {
        let (_folder, store) = scratch();
        append(&store, &Record::begin("2".to_owned(), Kind::Deploy, "local", 5)).await.unwrap();
        let late = append(&store, &Record::begin("3".to_owned(), Kind::Deploy, "local", 4)).await;
        assert!(late.unwrap_err().to_string().contains("void"));
    }

    #[tokio::test]
    async fn records_are_in_the_order_of_their_holders_also_within_a_second() {
        let (_folder, store) = scratch();
        for (id, token) in [("b", 1), ("c", 2), ("a", 3)] {
            append(&store, &Record::begin(id.to_owned(), Kind::Deploy, "local", token)).await.unwrap();
        }
        let ids: Vec<String> = read_all(&store).await.unwrap().into_iter().map(|record| record.id).collect();
        assert_eq!(ids, ["b", "c", "a"]);
    }

    #[tokio::test]
    async fn a_damaged_record_is_named() {
        let (_folder, store) = scratch();
        store.put_if_absent("records/x.json", b"{").await.unwrap();
        assert!(format!("{:#}", read_all(&store).await.unwrap_err()).contains("records/x.json"));
    }

    /// A bucket's other writers can copy a signed record, and make an earlier release the one that a deploy restores.
    #[tokio::test]
    async fn a_record_under_another_name_is_refused() {
        for (key, says) in
            [("records/99999989-1.json", "(token 1) under another name"), ("records/99999998-2.json", "that of 1 ")]
        {
            let (_folder, store) = scratch();
            let record = Record::begin("1".to_owned(), Kind::Deploy, "production", 1);
            append(&store, &record).await.unwrap();
            store.put_if_absent(key, &serde_json::to_vec(&record).unwrap()).await.unwrap();
            let error = format!("{:#}", live(&store).await.unwrap_err());
            assert!(error.contains(key) && error.contains(says), "{error}");
        }
    }

    #[tokio::test]
    async fn records_of_an_early_toolkit_fence_too() {
        let (_folder, store) = scratch();
        let early = Record::begin("20261121T104423Z-1f2e3d".to_owned(), Kind::Deploy, "local", 5);
        let bytes = serde_json::to_vec(&early).unwrap();
        store.put_if_absent("records/20261121T104423Z-1f2e3d.json", &bytes).await.unwrap();
        let late = append(&store, &Record::begin(new_id().unwrap(), Kind::Deploy, "local", 4)).await;
        assert!(late.unwrap_err().to_string().contains("void"));
        let again = append(&store, &Record { token: 6, ..early.clone() }).await;
        assert!(again.unwrap_err().to_string().contains("never replaced"));
        append(&store, &Record::begin(new_id().unwrap(), Kind::Deploy, "local", 6)).await.unwrap();
        assert_eq!(read_all(&store).await.unwrap()[0], early);
    }
}
