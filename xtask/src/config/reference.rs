//! The reference of deploy.yaml: every key with its meaning, kind, default and example, as the parser declares them.
//!
//! There is no second list. The parser reads a value that is not there, once for each target, and the keys that it asks for are noted.

mod find;
mod schema;

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

use super::document::{Document, Node, Value};
use super::field::{Key, Log, NAME};
use super::file::TextFile;
use super::read;

/// The names of `target`, in the order of the parser.
const TARGETS: [&str; 4] = ["local", "scaleway", "compose", "easypanel"];

/// The key that the others of an environment depend on.
const TARGET: &str = "environments.NAME.target";

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(entries);

/// All of deploy.yaml's keys, in the order of the parser.
pub struct Reference {
    entries: &'static [Entry],
}

/// A key.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its dotted path; `NAME` for a name that the user chooses, `[]` for an item of a list: `notify[].url`.
    pub path: String,
    /// What it says. None for an item of a list or mapping, which has no key that the parser knows.
    pub meaning: Option<&'static str>,
    /// What counts without it, for people.
    pub otherwise: Option<&'static str>,
    /// A likely value, in YAML.
    pub example: &'static str,
    /// Whether the mapping that it is in has to have it.
    pub required: bool,
    /// The targets of environments that can have it; all where it does not depend on the target.
    pub targets: Vec<&'static str>,
    /// The key that it is required with; without that, it is not.
    pub with: Option<&'static str>,
    shapes: Vec<Shape>,
}

/// What a value may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Nothing behind the key.
    Nothing,
    Flag,
    /// A text, and which one, for people.
    Text(String),
    TextOrNumber(String),
    Number {
        what: String,
        whole: bool,
    },
    /// A text, a number, true or false.
    Scalar,
    Words(Vec<&'static str>),
    /// Items have the path with `[]`.
    List,
    /// Values have the path with `.NAME`.
    Map,
    /// Keys have the path with their names.
    Table,
    Any,
}

/// A value that is not there, and notes what is asked of it.
#[derive(Default)]
pub(super) struct Imagined {
    /// The target of every environment.
    target: usize,
    /// Whether it is a mapping or a list, where a short form is a text.
    pub(super) is_long: bool,
    entries: RefCell<Vec<Entry>>,
}

impl Imagined {
    /// The parser asks for a key.
    pub(super) fn has(&self, path: &str, key: Key, required: bool) {
        let Key { example, meaning, otherwise, with, .. } = key;
        let entry = Entry { meaning: Some(meaning), otherwise, example, required, with, ..self.entry(path) };
        self.add(entry);
    }

    /// The parser takes a value of this shape.
    pub(super) fn may_be(&self, path: &str, shape: Shape) {
        let mut entries = self.entries.borrow_mut();
        match entries.iter_mut().rev().find(|entry| entry.path == path) {
            Some(entry) if entry.shapes.contains(&shape) => {}
            Some(entry) => entry.shapes.push(shape),
            None => entries.push(Entry { shapes: vec![shape], ..self.entry(path) }),
        }
    }

    /// Which word the value at a path is, where other keys depend on it.
    pub(super) fn choose(&self, path: &str) -> Option<usize> {
        (path == TARGET).then_some(self.target)
    }

    fn entry(&self, path: &str) -> Entry {
        Entry {
            path: path.to_owned(),
            meaning: None,
            otherwise: None,
            example: "",
            required: false,
            targets: vec![TARGETS[self.target]],
            with: None,
            shapes: Vec::new(),
        }
    }

    fn add(&self, entry: Entry) {
        let mut entries = self.entries.borrow_mut();
        if !entries.iter().any(|known| known.is_same(&entry)) {
            entries.push(entry);
        }
    }
}

impl Entry {
    /// What a value may be, for people.
    pub fn kinds(&self) -> Vec<String> {
        let items = |path: String| {
            let item = ENTRIES.iter().find(|entry| entry.path == path);
            item.map(|item| item.kinds().join(", or ")).unwrap_or_default()
        };
        let kind = |shape: &Shape| match shape {
            Shape::Nothing => "nothing".to_owned(),
            Shape::Flag => "true or false".to_owned(),
            Shape::Text(what) | Shape::TextOrNumber(what) | Shape::Number { what, .. } => what.clone(),
            Shape::Scalar => "a text, a number, true or false".to_owned(),
            Shape::Words(words) => match words.as_slice() {
                [word] => format!("`{word}`"),
                words => format!("one of: {}", words.join(", ")),
            },
            Shape::List => format!("a list; an item is {}", items(format!("{}[]", self.path))),
            Shape::Map => format!("a mapping of names; a value is {}", items(format!("{}.{NAME}", self.path))),
            Shape::Table => "a mapping".to_owned(),
            Shape::Any => "as GitHub takes it".to_owned(),
        };
        self.shapes.iter().map(kind).collect()
    }

    /// Its example, as a line of YAML.
    pub fn line(&self) -> String {
        format!("{}: {}", self.name(), self.example)
    }

    /// Whether it depends on the target of an environment.
    pub fn is_of_some_targets(&self) -> bool {
        self.targets.len() < TARGETS.len()
    }

    /// The last word of its path.
    pub fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }

    fn is_same(&self, other: &Self) -> bool {
        self.path == other.path && self.meaning == other.meaning && self.required == other.required
    }
}

impl Reference {
    /// That of this toolkit.
    pub fn new() -> Self {
        Self { entries: &ENTRIES }
    }

    /// Every key, without items.
    pub fn keys(&self) -> impl Iterator<Item = &'static Entry> {
        self.entries.iter().filter(|entry| entry.meaning.is_some())
    }

    /// The keys at the top of the file, and those of which a value is a mapping.
    pub fn topics(&self) -> impl Iterator<Item = &'static Entry> {
        self.keys().filter(|entry| !entry.path.contains('.') || self.below(entry).next().is_some())
    }

    /// The keys of a mapping, or of the items of a list or mapping of such.
    pub fn below(&self, entry: &Entry) -> impl Iterator<Item = &'static Entry> {
        let folders = ["", "[]", ".NAME"].map(|end| format!("{}{end}.", entry.path));
        let targets = entry.targets.clone();
        self.keys().filter(move |key| {
            let is_in =
                |folder: &String| key.path.strip_prefix(folder.as_str()).is_some_and(|rest| !rest.contains(['.', '[']));
            folders.iter().any(is_in) && key.targets.iter().any(|it| targets.contains(it))
        })
    }
}

impl Default for Reference {
    fn default() -> Self {
        Self::new()
    }
}

/// What the parser asks for, of all targets and of both the short and the long form of a value.
fn entries() -> Vec<Entry> {
    // Environments have the whole file, for messages about them. Nothing is read of it.
    let file = TextFile { name: super::FILE.into(), text: String::new() };
    let document = Arc::new(Document { file, root: Node { id: 0, value: Value::Nothing } });
    let mut all: Vec<Entry> = Vec::new();
    for target in 0..TARGETS.len() {
        for is_long in [false, true] {
            let imagined = Imagined { target, is_long, entries: RefCell::default() };
            let imagined = Log::imagine(imagined, |root| drop(read::config(&root, &document)));
            for entry in imagined.entries.into_inner() {
                let Some(known) = all.iter_mut().find(|known| known.is_same(&entry)) else {
                    all.push(entry);
                    continue;
                };
                let new = entry.shapes.into_iter().filter(|shape| !known.shapes.contains(shape)).collect::<Vec<_>>();
                known.shapes.extend(new);
                let new = entry.targets.into_iter().filter(|it| !known.targets.contains(it)).collect::<Vec<_>>();
                known.targets.extend(new);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests;
