//! The steps of the deploy under way, so that one that was killed can be resumed.
//!
//! An object of JSON lines: a header, then one entry for every finished step, and for the beginning of `apply` and `media-apply`. An
//! entry carries the hash of the step's inputs and a checksum of itself. Another schema, toolkit or environment voids the whole
//! journal, a damaged entry voids itself and all that follow, and a step's result is checked before it is used again. The object is
//! only written on the condition that it is the version that this deploy wrote last, so a deploy that has lost its lease cannot write
//! into the journal of the next one.

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::history::Kind;
use super::store::{Put, Store};
use crate::report::Step;
use crate::tools::host;

/// The object's key.
pub const KEY: &str = "journal.jsonl";

const SCHEMA: u32 = 1;

/// In the place of the result of a step that has begun.
const BEGUN: &str = "begun";

/// What names the deploy that the journal is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    schema: u32,
    toolkit: String,
    environment: String,
    /// Whether it is a deploy or a rollback.
    pub kind: Kind,
    /// The deploy's id, kept when it is resumed.
    pub deploy: String,
    /// Who began it: `user@machine`.
    #[serde(default)]
    who: String,
    /// When.
    #[serde(default)]
    began: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    step: Step,
    inputs: String,
    output: Value,
    seconds: f64,
    sum: String,
}

/// The journal, open for the deploy under way.
pub struct Journal {
    store: Store,
    header: Header,
    entries: Vec<Entry>,
    /// Whether nothing is in the object but the header and these entries.
    is_whole: bool,
    /// Of the version that this process read or wrote last.
    etag: String,
}

/// What was found of an earlier deploy.
pub enum Found {
    /// Nothing: the last deploy ended properly.
    Nothing,
    /// A deploy that did not end.
    Unfinished(Box<Journal>),
    /// Something that cannot be used, and why.
    Unusable(String),
}

impl Journal {
    /// Looks for the journal of a deploy that did not end.
    pub async fn find(store: &Store, environment: &str) -> Result<Found> {
        let Some(object) = store.get(KEY).await.context("read the journal")? else { return Ok(Found::Nothing) };
        let text = String::from_utf8_lossy(&object.bytes);
        let mut lines = text.split_inclusive('\n');
        let header: Option<Header> = lines.next().and_then(|line| serde_json::from_str(line).ok());
        let Some(header) = header else {
            return Ok(Found::Unusable("its first line is damaged".to_owned()));
        };
        let (who, began) = (header.who.clone(), header.began);
        let expected = Header { who, began, ..Header::new(environment, header.kind, &header.deploy) };
        if header != expected {
            let reason = format!(
                "it was written by toolkit {} (schema {}) for {}; this is {} (schema {}) for {}",
                header.toolkit,
                header.schema,
                header.environment,
                expected.toolkit,
                expected.schema,
                expected.environment
            );
            return Ok(Found::Unusable(reason));
        }
        let entries = lines.map_while(|line| line.strip_suffix('\n').and_then(Entry::parse)).collect();
        let journal = Self { store: store.clone(), header, entries, is_whole: false, etag: object.etag };
        Ok(Found::Unfinished(Box::new(journal)))
    }

    /// Begins a new journal in place of any other.
    pub async fn begin(store: &Store, environment: &str, kind: Kind, deploy: &str) -> Result<Self> {
        let header = Header::new(environment, kind, deploy);
        let bytes = line(&header)?;
        // As a rule there is none, and then this is one request.
        let mut put = store.put_if_absent(KEY, &bytes).await;
        if matches!(put, Ok(Put::Refused)) {
            let other = store.get(KEY).await.context("read the journal of an earlier deploy")?;
            put = store.put_over(KEY, &bytes, other.map(|object| object.etag).as_deref()).await;
        }
        let etag = written(put.context("begin the journal")?)?;
        Ok(Self { store: store.clone(), header, entries: Vec::new(), is_whole: true, etag })
    }

    /// Whether it is of a deploy or of a rollback.
    pub fn kind(&self) -> Kind {
        self.header.kind
    }

    /// The deploy's id.
    pub fn deploy(&self) -> &str {
        &self.header.deploy
    }

    /// The steps that it knows to be finished.
    pub fn steps(&self) -> Vec<Step> {
        self.entries.iter().filter(|entry| !entry.is_begun()).map(|entry| entry.step).collect()
    }

    /// Where it was interrupted, for the middle of a sentence: by whom and when it was begun, and how far it came.
    pub fn describe(&self) -> String {
        let Header { who, began, deploy, .. } = &self.header;
        let by = if who.is_empty() { String::new() } else { format!(" by {who}") };
        let when = began.map_or_else(|| deploy.clone(), |began| began.strftime("%Y-%m-%d %H:%M:%SZ").to_string());
        let step = match (self.entries.last(), self.steps().last()) {
            (Some(entry), _) if entry.is_begun() => format!("in step {}", entry.step),
            (_, Some(step)) => format!("after step {step}"),
            (_, None) => "after its start".to_owned(),
        };
        format!("begun{by} at {when}, interrupted {step}")
    }

    /// Writes down that a step has begun which is never taken from the journal.
    pub async fn begin_step(&mut self, step: Step) -> Result<()> {
        self.remember(step, &BEGUN, &BEGUN, 0.0).await
    }

    /// The result of a step that was finished with these inputs.
    pub fn recall<T: DeserializeOwned>(&self, step: Step, inputs: &impl Serialize) -> Result<Option<T>> {
        let inputs = hash(step, inputs)?;
        let entry = self.entries.iter().rfind(|entry| entry.step == step && entry.inputs == inputs);
        // A result of another shape is a result of another toolkit: the step is simply done again.
        Ok(entry.and_then(|entry| serde_json::from_value(entry.output.clone()).ok()))
    }

    /// Remembers a finished step. It is stored, and in a folder on disk, before this returns. Where an earlier journal was
    /// damaged, the first step is on disk a moment later.
    pub async fn remember(
        &mut self,
        step: Step,
        inputs: &impl Serialize,
        output: &impl Serialize,
        seconds: f64,
    ) -> Result<()> {
        let output = serde_json::to_value(output).with_context(|| format!("write the result of {step} as JSON"))?;
        let inputs = hash(step, inputs)?;
        let sum = checksum(step, &inputs, &output);
        let entry = Entry { step, inputs, output, seconds, sum };
        let (old, added) = (self.lines()?, line(&entry)?);
        let put = if self.is_whole {
            self.store.extend(KEY, &old, &added, &self.etag).await
        } else {
            // What follows the entries may be damage that was passed over.
            self.store.put_if_unchanged(KEY, &[old, added].concat(), &self.etag).await
        };
        self.etag = written(put.context("write the journal")?)?;
        self.is_whole = true;
        self.entries.push(entry);
        Ok(())
    }

    /// Goes on under another deploy's id: the one it had has its record already.
    pub async fn rename(&mut self, deploy: String) -> Result<()> {
        self.header.deploy = deploy;
        let put = self.store.put_if_unchanged(KEY, &self.lines()?, &self.etag).await;
        self.etag = written(put.context("write the journal")?)?;
        self.is_whole = true;
        Ok(())
    }

    /// Ends the journal: the deploy it is of has its record. A journal that another deploy has begun since is left alone.
    pub async fn end(&self) -> Result<()> {
        let now = self.store.get(KEY).await.context("read the journal")?;
        if now.is_some_and(|object| object.etag == self.etag) {
            self.store.delete(KEY).await.context("end the journal")?;
        }
        Ok(())
    }

    fn lines(&self) -> Result<Vec<u8>> {
        let mut lines = line(&self.header)?;
        for entry in &self.entries {
            lines.extend(line(entry)?);
        }
        Ok(lines)
    }
}

fn written(put: Put) -> Result<String> {
    match put {
        Put::Written { etag } => Ok(etag),
        Put::Refused => anyhow::bail!("another deploy has begun a journal meanwhile; this one has lost its lease"),
    }
}

impl Header {
    fn new(environment: &str, kind: Kind, deploy: &str) -> Self {
        Self {
            schema: SCHEMA,
            toolkit: env!("CARGO_PKG_VERSION").to_owned(),
            environment: environment.to_owned(),
            kind,
            deploy: deploy.to_owned(),
            who: host::who().to_owned(),
            began: Some(Timestamp::now()),
        }
    }
}

impl Entry {
    fn is_begun(&self) -> bool {
        self.output.as_str() == Some(BEGUN)
    }

    fn parse(line: &str) -> Option<Self> {
        let entry: Self = serde_json::from_str(line).ok()?;
        (checksum(entry.step, &entry.inputs, &entry.output) == entry.sum).then_some(entry)
    }
}

fn line(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value).context("write the journal as JSON")?;
    line.push(b'\n');
    Ok(line)
}

fn hash(step: Step, inputs: &impl Serialize) -> Result<String> {
    let inputs = serde_json::to_string(inputs).with_context(|| format!("write the inputs of {step} as JSON"))?;
    Ok(hex::encode(Sha256::digest(inputs)))
}

fn checksum(step: Step, inputs: &str, output: &Value) -> String {
    hex::encode(&Sha256::digest(format!("{step}\n{inputs}\n{output}"))[..8])
}

#[cfg(test)]
mod tests;
