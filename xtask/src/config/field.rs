//! Reads typed values from a document and collects every problem.
//!
//! A function that reads a value returns `None` after it noted a problem, and its caller continues with the next value. So the same
//! functions tell which keys there are: they read an imagined value, which notes what is asked of it ([`Log::imagine`]).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::str::FromStr;

use camino::Utf8PathBuf;

use super::check;
use super::document::{Document, Kind, Node, Value};
use super::problem::{ConfigError, LISTED, Problem, did_you_mean, nearest, quoted, shown};
use super::reference::{Imagined, Shape};

/// The problems noted so far, or what is asked of an imagined value.
#[derive(Default)]
pub(super) struct Log {
    notes: RefCell<Vec<Note>>,
    imagined: Option<Imagined>,
}

/// A key as the parser declares it.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// A likely value.
    pub(super) example: &'static str,
    /// What it says, in whole sentences.
    pub(super) meaning: &'static str,
    /// What counts without it, for people.
    pub(super) otherwise: Option<&'static str>,
    /// The key that it is required with; only for a required one that is not required without that.
    pub(super) with: Option<&'static str>,
}

/// A key without a default.
pub(super) const fn key(name: &'static str, example: &'static str, meaning: &'static str) -> Key {
    Key { name, example, meaning, otherwise: None, with: None }
}

impl Key {
    /// The same with what counts where it is missing.
    pub(super) const fn otherwise(self, otherwise: &'static str) -> Self {
        Self { otherwise: Some(otherwise), ..self }
    }

    /// The same where it is required with another key only.
    pub(super) const fn with(self, with: &'static str) -> Self {
        Self { with: Some(with), ..self }
    }
}

/// A problem at a node. Its position is looked up later.
struct Note {
    node: usize,
    key: String,
    message: String,
    hint: String,
    /// The node of the first occurrence of a repeated key.
    first: Option<usize>,
}

/// A value with its path and an example.
pub(super) struct Field<'a> {
    node: &'a Node,
    /// The node of its key; none for items of a list and the document.
    key: Option<&'a Node>,
    path: String,
    example: String,
    log: &'a Log,
}

impl Log {
    /// Reads a document. Fails if a problem was noted.
    pub(super) fn read<T>(
        document: &Document,
        example: &str,
        read: impl FnOnce(Field<'_>) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let log = Self::default();
        let root =
            Field { node: &document.root, key: None, path: String::new(), example: example.to_owned(), log: &log };
        let value = read(root);
        let mut notes = log.notes.into_inner();
        match value {
            Some(value) if notes.is_empty() => Ok(value),
            _ => {
                notes.sort_by_key(|note| note.node); // numbers are in the order of the file
                let unlisted = notes.len().saturating_sub(LISTED);
                let problems = notes.into_iter().take(LISTED).map(|note| note.into_problem(document)).collect();
                Err(ConfigError::new(problems, unlisted))
            }
        }
    }

    /// Has a parser read a value that is not there, to see which keys it asks for.
    pub(super) fn imagine(imagined: Imagined, read: impl FnOnce(Field<'_>)) -> Imagined {
        let node = Node { id: 0, value: Value::Nothing };
        let log = Self { imagined: Some(imagined), ..Self::default() };
        read(Field { node: &node, key: None, path: String::new(), example: String::new(), log: &log });
        log.imagined.unwrap_or_default()
    }
}

impl Note {
    fn into_problem(self, document: &Document) -> Problem {
        let first = self.first.map(|first| format!("; the first is on line {}", document.position(first).line));
        Problem {
            file: document.file.name.clone(),
            at: Some(document.position(self.node)),
            key: self.key,
            message: self.message + &first.unwrap_or_default(),
            hint: self.hint,
        }
    }
}

impl<'a> Field<'a> {
    /// Notes a problem with the value.
    pub(super) fn refuse<T>(&self, message: impl Into<String>, hint: impl Into<String>) -> Option<T> {
        self.note(self.node.id, message, hint)
    }

    /// Notes a problem with the key, or with the whole value.
    pub(super) fn refuse_key<T>(&self, message: impl Into<String>, hint: impl Into<String>) -> Option<T> {
        self.note(self.key.unwrap_or(self.node).id, message, hint)
    }

    /// Notes that the value is not `what`.
    pub(super) fn expected<T>(&self, what: &str) -> Option<T> {
        let hint = format!("for example `{}`", self.example);
        match found(self.node) {
            Some(found) => self.refuse(format!("found {found}, expected {what}"), hint),
            None => self.refuse_key(format!("no value, expected {what}"), hint),
        }
    }

    /// Whether it is a mapping, where a short form is a text.
    pub(super) fn is_mapping(&self) -> bool {
        matches!(self.node.value, Value::Map(_)) || self.log.imagined.as_ref().is_some_and(|it| it.is_long)
    }

    /// Whether it is a list, where a short form is a text.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.node.value, Value::List(_)) || self.log.imagined.as_ref().is_some_and(|it| it.is_long)
    }

    /// Whether the key has no value.
    pub(super) fn is_empty(&self) -> bool {
        !self.is_imagined(|| Shape::Nothing) && matches!(self.node.value, Value::Nothing)
    }

    /// `true` or `false`.
    pub(super) fn flag(&self) -> Option<bool> {
        self.imagine(|| Shape::Flag)?;
        match &self.node.value {
            Value::Scalar(Kind::Boolean, text) => Some(text.eq_ignore_ascii_case("true")),
            _ => self.expected("true or false"),
        }
    }

    /// A path inside the project.
    pub(super) fn path(&self) -> Option<Utf8PathBuf> {
        self.text("a path inside the project, relative to its root and without `..`", check::is_inside).map(Into::into)
    }

    /// A text that passes the check, which `what` describes.
    pub(super) fn text(&self, what: &str, check: impl FnOnce(&str) -> bool) -> Option<String> {
        self.imagine(|| Shape::Text(what.to_owned()))?;
        match &self.node.value {
            Value::Scalar(Kind::Text, text) if check(text) => Some(text.clone()),
            _ => self.expected(what),
        }
    }

    /// The same, where a number is a text, too, as it is written.
    pub(super) fn text_or_number(&self, what: &str, check: impl Fn(&str) -> bool) -> Option<String> {
        self.imagine(|| Shape::TextOrNumber(what.to_owned()))?;
        match &self.node.value {
            Value::Scalar(Kind::Text | Kind::Number, text) if check(text) => Some(text.clone()),
            _ => self.expected(what),
        }
    }

    /// A whole number that passes the check, which `what` describes.
    pub(super) fn number<T: FromStr>(&self, what: &str, check: impl FnOnce(&T) -> bool) -> Option<T> {
        self.imagine(|| Shape::Number { what: what.to_owned(), whole: "0.5".parse::<T>().is_err() })?;
        match &self.node.value {
            Value::Scalar(Kind::Number, text) => text.parse().ok().filter(check).or_else(|| self.expected(what)),
            _ => self.expected(what),
        }
    }

    /// The text of a scalar, as it is written in the file.
    pub(super) fn scalar(&self) -> Option<String> {
        self.imagine(|| Shape::Scalar)?;
        match &self.node.value {
            Value::Scalar(Kind::Tagged, _) => self.expected("a text, a number, true or false"),
            Value::Scalar(_, text) if !text.contains('\0') => Some(text.clone()),
            _ => self.expected("a text, a number, true or false"),
        }
    }

    /// Whether it is this word.
    pub(super) fn is_word(&self, word: &'static str) -> bool {
        !self.is_imagined(|| Shape::Words(vec![word]))
            && matches!(&self.node.value, Value::Scalar(Kind::Text, text) if text == word)
    }

    /// A value of any shape, as it is written, to be written into another YAML file.
    pub(super) fn yaml(&self) -> Option<serde_yaml::Value> {
        self.imagine(|| Shape::Any)?;
        match yaml(self.node) {
            Some(value) => Some(value),
            None => self.refuse("found a tag such as `!name` in it", "write the value without a tag"),
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&'static str, T)]) -> Option<T> {
        if self.is_imagined(|| Shape::Words(choices.iter().map(|(word, _)| *word).collect())) {
            // Which other keys there are may depend on it.
            let chosen = self.log.imagined.as_ref()?.choose(&self.path)?;
            return choices.get(chosen).map(|(_, choice)| *choice);
        }
        let words = choices.iter().map(|(word, _)| *word);
        let Value::Scalar(Kind::Text, text) = &self.node.value else {
            return self.expected(&format!("one of: {}", words.collect::<Vec<_>>().join(", ")));
        };
        match choices.iter().find(|(word, _)| word == text) {
            Some((_, choice)) => Some(*choice),
            None => self.refuse(format!("unknown value {}", quoted(text)), did_you_mean(text, "values", words)),
        }
    }

    /// A list. Every item is read, even after a bad one.
    pub(super) fn list<T>(&self, example: &str, mut read: impl FnMut(Field<'a>) -> Option<T>) -> Option<Vec<T>> {
        if self.is_imagined(|| Shape::List) {
            read(Field { path: format!("{}[]", self.path), key: None, example: example.to_owned(), ..*self });
            return None;
        }
        let Value::List(items) = &self.node.value else { return self.expected("a list") };
        let mut list = Some(Vec::new());
        for (index, node) in items.iter().enumerate() {
            let path = format!("{}[{index}]", self.path);
            let item = read(Field { node, key: None, path, example: example.to_owned(), log: self.log });
            list = list.zip(item).map(|(list, item)| push(list, item));
        }
        list
    }

    /// A mapping of names to values. Every entry is read, even after a bad one.
    pub(super) fn map<T>(
        &self,
        example: &str,
        mut read: impl FnMut(&str, Field<'a>) -> Option<T>,
    ) -> Option<BTreeMap<String, T>> {
        if self.is_imagined(|| Shape::Map) {
            read(
                NAME,
                Field { path: format!("{}.{NAME}", self.path), key: None, example: example.to_owned(), ..*self },
            );
            return None;
        }
        let mut list = Some(Vec::new());
        for (name, field) in self.entries()? {
            let entry = read(name, field.with_example(format!("{name}: {example}")));
            list = list.zip(entry).map(|(list, value)| push(list, (name.to_owned(), value)));
        }
        list.map(BTreeMap::from_iter)
    }

    /// A mapping of known keys: those that `read` reads.
    pub(super) fn table<T>(&self, read: impl FnOnce(&mut Table<'a>) -> Option<T>) -> Option<T> {
        let imagined = self.is_imagined(|| Shape::Table).then(|| Field {
            path: self.path.clone(),
            example: String::new(),
            ..*self
        });
        let entries = if imagined.is_some() { Vec::new() } else { self.entries()? };
        let mut table = Table { entries, known: Vec::new(), missing: Vec::new(), open: false, imagined };
        let value = read(&mut table);
        table.finish(self);
        value
    }

    /// The entries of a mapping. An entry without a usable key is a problem.
    fn entries(&self) -> Option<Vec<(&'a str, Field<'a>)>> {
        let Value::Map(entries) = &self.node.value else { return self.expected("a mapping") };
        let mut first = BTreeMap::new();
        let mut named = Vec::new();
        for (key, node) in entries {
            let Some(name) = key.text() else {
                let found = found(key).unwrap_or_else(|| "nothing".to_owned());
                self.note::<()>(key.id, format!("found {found} as a key, expected a name"), "write a name");
                continue;
            };
            let path = if self.path.is_empty() { shown(name) } else { format!("{}.{}", self.path, shown(name)) };
            if let Some(first) = first.get(name) {
                let (message, hint) = ("this key is repeated".to_owned(), "remove one of the two".to_owned());
                self.log.notes.borrow_mut().push(Note { node: key.id, key: path, message, hint, first: Some(*first) });
                continue;
            }
            first.insert(name, key.id);
            named.push((name, Field { node, key: Some(key), path, example: String::new(), log: self.log }));
        }
        Some(named)
    }

    fn with_example(self, example: String) -> Self {
        Self { example, ..self }
    }

    /// Whether the value is imagined, which then notes that it may have this shape.
    fn is_imagined(&self, shape: impl FnOnce() -> Shape) -> bool {
        let Some(imagined) = &self.log.imagined else { return false };
        imagined.may_be(&self.path, shape());
        true
    }

    /// The same as the end of a function that reads a value: an imagined one has none.
    fn imagine(&self, shape: impl FnOnce() -> Shape) -> Option<()> {
        (!self.is_imagined(shape)).then_some(())
    }

    fn note<T>(&self, node: usize, message: impl Into<String>, hint: impl Into<String>) -> Option<T> {
        let note = Note { node, key: self.path.clone(), message: message.into(), hint: hint.into(), first: None };
        self.log.notes.borrow_mut().push(note);
        None
    }
}

/// What stands for a key of a mapping whose keys are names that the user chooses.
pub(super) const NAME: &str = "NAME";

/// A mapping of known keys; see [`Field::table`].
pub(super) struct Table<'a> {
    /// The entries that were not read yet.
    entries: Vec<(&'a str, Field<'a>)>,
    known: Vec<&'static str>,
    missing: Vec<(&'static str, &'static str)>,
    open: bool,
    /// The whole, where it is imagined.
    imagined: Option<Field<'a>>,
}

impl<'a> Table<'a> {
    /// A required key.
    pub(super) fn required<T>(&mut self, key: Key, read: impl FnOnce(Field<'a>) -> Option<T>) -> Option<T> {
        let field = self.take(key, true);
        if field.is_none() {
            self.missing.push((key.name, key.example));
        }
        field.and_then(read)
    }

    /// An optional key.
    pub(super) fn optional<T>(&mut self, key: Key, read: impl FnOnce(Field<'a>) -> Option<T>) -> Option<Option<T>> {
        match self.take(key, false) {
            Some(field) => read(field).map(Some),
            None => Some(None),
        }
    }

    /// A key that the mapping cannot have, and why not.
    pub(super) fn refused(&mut self, key: &str, message: &str, hint: &str) -> Option<()> {
        let Some(index) = self.entries.iter().position(|(name, _)| *name == key) else { return Some(()) };
        self.entries.swap_remove(index).1.refuse_key(message, hint)
    }

    /// Accepts any other key: which keys are known depends on a value that has a problem.
    pub(super) fn accept_other_keys(&mut self) {
        self.open = true;
    }

    fn take(&mut self, key: Key, is_required: bool) -> Option<Field<'a>> {
        let Key { name, example, .. } = key;
        if let Some(whole) = &self.imagined {
            let path = if whole.path.is_empty() { name.to_owned() } else { format!("{}.{name}", whole.path) };
            whole.log.imagined.as_ref()?.has(&path, key, is_required);
            return Some(Field { path, example: example.to_owned(), ..*whole });
        }
        self.known.push(name);
        let index = self.entries.iter().position(|(entry, _)| *entry == name)?;
        Some(self.entries.swap_remove(index).1.with_example(format!("{name}: {example}")))
    }

    fn finish(mut self, whole: &Field<'a>) {
        for (name, field) in self.entries {
            // A misspelt key does not count as a missing one, too.
            let missing = nearest(name, self.missing.iter().map(|(key, _)| *key));
            self.missing.retain(|(key, _)| Some(*key) != missing);
            if !self.open || missing.is_some() {
                field.refuse_key::<()>("unknown key", did_you_mean(name, "keys", self.known.iter().copied()));
            }
        }
        for (key, example) in self.missing {
            let path = if whole.path.is_empty() { key.to_owned() } else { format!("{}.{key}", whole.path) };
            let missing = Field { node: whole.node, key: whole.key, path, example: String::new(), log: whole.log };
            missing.refuse_key::<()>("missing", format!("add `{key}: {example}`"));
        }
    }
}

/// The value of a node, for people; `None` if it is empty.
fn found(node: &Node) -> Option<String> {
    match &node.value {
        Value::Nothing => None,
        Value::List(_) => Some("a list".to_owned()),
        Value::Map(_) => Some("a mapping".to_owned()),
        Value::Scalar(Kind::Text, text) => Some(format!("the text {}", quoted(text))),
        Value::Scalar(Kind::Number, text) => Some(format!("the number {}", quoted(text))),
        Value::Scalar(Kind::Boolean, text) => Some(quoted(text)),
        Value::Scalar(Kind::Tagged, tag) => Some(format!("the tag {}", quoted(tag))),
    }
}

/// A node as a value; none with a tag in it.
fn yaml(node: &Node) -> Option<serde_yaml::Value> {
    Some(match &node.value {
        Value::Nothing => serde_yaml::Value::Null,
        Value::List(items) => serde_yaml::Value::Sequence(items.iter().map(yaml).collect::<Option<_>>()?),
        Value::Map(entries) => {
            let entry = |(key, value): &(Node, Node)| Some((yaml(key)?, yaml(value)?));
            serde_yaml::Value::Mapping(entries.iter().map(entry).collect::<Option<_>>()?)
        }
        Value::Scalar(Kind::Text, text) => serde_yaml::Value::String(text.clone()),
        Value::Scalar(Kind::Number | Kind::Boolean, text) => serde_yaml::from_str(text).ok()?,
        Value::Scalar(Kind::Tagged, _) => return None,
    })
}

fn push<T>(mut list: Vec<T>, item: T) -> Vec<T> {
    list.push(item);
    list
}
