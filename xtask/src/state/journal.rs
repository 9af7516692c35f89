//! The steps of the deploy under way, so that one that was killed can be resumed.
//!
//! A file of JSON lines: a header, then one entry for every finished step. An entry carries the hash of the step's
//! inputs and a checksum of itself. Nothing is believed blindly: another schema, toolkit or environment voids the whole
//! journal, a damaged entry voids itself and all that follow, and a step's result is looked at before it is used again.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use camino::Utf8PathBuf;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::history::Kind;
use crate::report::Step;

const SCHEMA: u32 = 1;

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
    path: Utf8PathBuf,
    header: Header,
    entries: Vec<Entry>,
    /// Nothing is in the file but the header and these entries.
    is_whole: bool,
}

/// What was found of an earlier deploy.
pub enum Found {
    /// Nothing: the last deploy ended properly.
    Nothing,
    /// A deploy that did not end.
    Unfinished(Journal),
    /// Something that cannot be used, and why.
    Unusable(String),
}

impl Journal {
    /// Looks for the journal of a deploy that did not end.
    pub fn find(path: &Utf8PathBuf, environment: &str) -> Result<Found> {
        let text = match fs_err::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(error.into()),
        };
        let mut lines = text.split_inclusive('\n');
        let header: Option<Header> = lines.next().and_then(|line| serde_json::from_str(line).ok());
        let Some(header) = header else {
            return Ok(Found::Unusable("its first line is damaged".to_owned()));
        };
        let expected = Header::new(environment, header.kind, &header.deploy);
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
        Ok(Found::Unfinished(Self { path: path.clone(), header, entries, is_whole: false }))
    }

    /// Begins a new journal in place of any other.
    pub fn begin(path: Utf8PathBuf, environment: &str, kind: Kind, deploy: &str) -> Result<Self> {
        let header = Header::new(environment, kind, deploy);
        super::store::replace_file(&path, &line(&header)?)?;
        Ok(Self { path, header, entries: Vec::new(), is_whole: true })
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
        self.entries.iter().map(|entry| entry.step).collect()
    }

    /// The result of a step that was finished with these inputs.
    pub fn recall<T: DeserializeOwned>(&self, step: Step, inputs: &impl Serialize) -> Result<Option<T>> {
        let inputs = hash(step, inputs)?;
        let entry = self.entries.iter().rfind(|entry| entry.step == step && entry.inputs == inputs);
        // A result of another shape is a result of another toolkit: the step is simply done again.
        Ok(entry.and_then(|entry| serde_json::from_value(entry.output.clone()).ok()))
    }

    /// Remembers a finished step, on disk before this returns.
    pub fn remember(
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
        if !self.is_whole {
            // What follows the entries may be damage that was passed over.
            self.entries.push(entry);
            return self.rewrite();
        }
        let mut file = fs_err::OpenOptions::new().append(true).open(&self.path)?;
        file.write_all(&line(&entry)?)
            .and_then(|()| file.sync_data())
            .with_context(|| format!("write {}", self.path))?;
        self.entries.push(entry);
        Ok(())
    }

    /// Goes on under another deploy's id: the one it had has its record already.
    pub fn rename(&mut self, deploy: String) -> Result<()> {
        self.header.deploy = deploy;
        self.rewrite()
    }

    /// Ends the journal: the deploy it is of has its record.
    pub fn end(&self) -> Result<()> {
        Ok(fs_err::remove_file(&self.path)?)
    }

    fn rewrite(&mut self) -> Result<()> {
        let mut whole = line(&self.header)?;
        for entry in &self.entries {
            whole.extend(line(entry)?);
        }
        super::store::replace_file(&self.path, &whole)?;
        self.is_whole = true;
        Ok(())
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
        }
    }
}

impl Entry {
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
mod tests {
    use super::*;

    fn journal() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("journal.jsonl")).unwrap();
        let mut journal = Journal::begin(path.clone(), "local", Kind::Deploy, "d1").unwrap();
        journal.remember(Step::Source, &"head", &"abc", 0.1).unwrap();
        journal.remember(Step::Build, &"abc", &42, 9.5).unwrap();
        (folder, path)
    }

    fn unfinished(path: &Utf8PathBuf) -> Journal {
        match Journal::find(path, "local").unwrap() {
            Found::Unfinished(journal) => journal,
            Found::Nothing => panic!("nothing was found"),
            Found::Unusable(why) => panic!("{why}"),
        }
    }

    #[test]
    fn a_finished_step_is_recalled_by_its_inputs_only() {
        let (_folder, path) = journal();
        let journal = unfinished(&path);
        assert_eq!(journal.deploy(), "d1");
        assert_eq!(journal.recall::<u32>(Step::Build, &"abc").unwrap(), Some(42));
        assert_eq!(journal.recall::<u32>(Step::Build, &"other").unwrap(), None);
        assert_eq!(journal.recall::<String>(Step::Build, &"abc").unwrap(), None);
    }

    #[test]
    fn a_journal_that_is_cut_anywhere_keeps_only_whole_entries() {
        let (_folder, path) = journal();
        let whole = fs_err::read(&path).unwrap();
        let lines: Vec<usize> =
            whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
        for length in lines[0]..whole.len() {
            fs_err::write(&path, &whole[..length]).unwrap();
            let steps = unfinished(&path).steps().len();
            assert_eq!(steps, usize::from(length >= lines[1]), "cut at {length}");
        }
        for length in 0..lines[0] - 1 {
            fs_err::write(&path, &whole[..length]).unwrap();
            assert!(matches!(Journal::find(&path, "local").unwrap(), Found::Unusable(_)), "cut at {length}");
        }
    }

    #[test]
    fn a_damaged_entry_voids_itself_and_what_follows() {
        let (_folder, path) = journal();
        let text = fs_err::read_to_string(&path).unwrap();
        fs_err::write(&path, text.replace("\"abc\"", "\"abd\"")).unwrap();
        let mut journal = unfinished(&path);
        assert!(journal.steps().is_empty());
        journal.remember(Step::Source, &"head", &"abc", 0.1).unwrap();
        assert_eq!(unfinished(&path).steps(), [Step::Source]);
    }

    #[test]
    fn what_follows_a_damaged_entry_is_written_in_its_place() {
        let (_folder, path) = journal();
        let text = fs_err::read_to_string(&path).unwrap();
        fs_err::write(&path, &text[..text.len() - 20]).unwrap();
        let mut journal = unfinished(&path);
        assert_eq!(journal.steps(), [Step::Source]);
        journal.remember(Step::Build, &"abc", &42, 9.5).unwrap();
        journal.remember(Step::Publish, &42, &"there", 0.1).unwrap();
        assert_eq!(unfinished(&path).steps(), [Step::Source, Step::Build, Step::Publish]);
    }

    #[test]
    fn another_environment_or_toolkit_is_not_believed() {
        let (_folder, path) = journal();
        assert!(matches!(Journal::find(&path, "production").unwrap(), Found::Unusable(_)));
        let text = fs_err::read_to_string(&path).unwrap();
        fs_err::write(&path, text.replacen("\"schema\":1", "\"schema\":9", 1)).unwrap();
        let Found::Unusable(why) = Journal::find(&path, "local").unwrap() else { panic!("it was believed") };
        assert!(why.contains("schema 9"), "{why}");
    }
}
