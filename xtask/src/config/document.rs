//! A YAML file as a tree. Every node has a position in the text.
//!
//! serde has positions for errors only. So nodes are numbered in the order of the file, and the position of a node comes from
//! reading the text again up to that number and failing there.

use std::fmt;

use serde::de::{self, DeserializeSeed, EnumAccess, IgnoredAny, MapAccess, SeqAccess, VariantAccess as _, Visitor};
use serde_yaml::Deserializer;

use super::file::TextFile;
use super::merge::{Wrong, merge};
use super::problem::{Position, Problem};
use super::size::{CHECK, check_size};

/// A parsed YAML file.
pub(super) struct Document {
    pub(super) file: TextFile,
    pub(super) root: Node,
}

/// A value, or a key of a mapping.
pub(super) struct Node {
    /// Its number in the order of the file.
    pub(super) id: usize,
    pub(super) value: Value,
}

/// The value of a node.
pub(super) enum Value {
    /// `null`, `~` or nothing at all.
    Nothing,
    /// A scalar: its kind, and its text with quotes and escapes resolved.
    Scalar(Kind, String),
    List(Vec<Node>),
    /// Keys and values in the order of the file, including repeated keys.
    Map(Vec<(Node, Node)>),
}

/// The kind of a scalar in YAML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Number,
    Text,
    /// A value with a tag such as `!secret`; the text is the tag.
    Tagged,
}

impl Document {
    /// Parses a file with one document. Fails for a file of comments only.
    pub(super) fn parse(file: TextFile) -> Result<Self, Problem> {
        check_size(&file)?;
        let root = parse(&file)?;
        if matches!(root.value, Value::Nothing) {
            let has_text = |line: &str| !line.trim().is_empty() && !line.trim().starts_with('#');
            let found = if file.text.trim().is_empty() {
                "the file is empty"
            } else if file.text.lines().any(has_text) {
                "the file has no keys"
            } else {
                "the file has only comments"
            };
            let start = Position { line: 1, column: 1 };
            return Err(file.problem(start, found, "begin with a line such as `project: my-service`"));
        }
        match merge(root) {
            Ok(root) => Ok(Self { file, root }),
            Err(Wrong { node, message, hint }) => {
                Err(file.problem(position_of(node, documents(&file.text).next()), message, hint))
            }
        }
    }

    /// The key and the value at a path of keys.
    pub(super) fn find(&self, path: &[&str]) -> Option<(&Node, &Node)> {
        let (last, parents) = path.split_last()?;
        let parent = if parents.is_empty() { &self.root } else { self.find(parents)?.1 };
        let Value::Map(entries) = &parent.value else { return None };
        entries.iter().find(|(key, _)| key.text() == Some(last)).map(|(key, value)| (key, value))
    }

    /// A problem with a node, or without one, with the file.
    pub(super) fn problem(&self, node: Option<&Node>, key: &str, message: String, hint: String) -> Problem {
        let at = node.map(|node| self.position(node.id));
        Problem { file: self.file.name.clone(), at, key: key.to_owned(), message, hint }
    }

    /// The position of a node. Reads the text again, so it is for problems only.
    pub(super) fn position(&self, id: usize) -> Position {
        position_of(id, documents(&self.file.text).next())
    }
}

impl fmt::Debug for Document {
    /// Names the file only: its text may contain a secret by mistake.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Document").field(&self.file.name).finish()
    }
}

impl Node {
    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(_, text) => Some(text),
            _ => None,
        }
    }
}

fn parse(file: &TextFile) -> Result<Node, Problem> {
    let mut pass = Pass::default();
    let mut all = documents(&file.text);
    let Some(first) = all.next() else { return Ok(Node { id: 0, value: Value::Nothing }) };
    pass.run(first, file)?;
    if let Some(second) = all.next() {
        Pass::default().run(second, file)?;
        let begin = position_of(0, documents(&file.text).nth(1));
        let marker = file.text.lines().take(begin.line).collect::<Vec<_>>();
        let marker = marker.iter().rposition(|line| line.starts_with("---"));
        let at = marker.map_or(begin, |index| Position { line: index + 1, column: 1 });
        return Err(file.problem(at, "a second document begins here", "keep one document: remove the `---`"));
    }
    // The second pass reads the text of scalars.
    pass.next = 0;
    match documents(&file.text).next() {
        Some(again) => pass.run(again, file),
        None => Ok(Node { id: 0, value: Value::Nothing }),
    }
}

/// The documents of a text, without a byte-order mark.
fn documents(text: &str) -> Deserializer<'_> {
    Deserializer::from_str(text.trim_start_matches('\u{feff}'))
}

fn position_of(id: usize, document: Option<Deserializer<'_>>) -> Position {
    let mut pass = Pass { stop: Some(id), ..Pass::default() };
    let refused = document.and_then(|document| pass.deserialize(document).err());
    refused.as_ref().and_then(position).unwrap_or(Position { line: 1, column: 1 })
}

fn position(error: &serde_yaml::Error) -> Option<Position> {
    error.location().map(|at| Position { line: at.line(), column: at.column() })
}

/// One pass over a document.
#[derive(Default)]
struct Pass {
    /// The number of the next node.
    next: usize,
    /// The kinds of scalars by node number. The second pass uses them.
    kinds: Vec<Option<Kind>>,
    /// The node to fail at.
    stop: Option<usize>,
    /// The remaining nodes and bytes, which limits the expansion of aliases.
    budget: usize,
}

impl Pass {
    fn run(&mut self, document: Deserializer<'_>, file: &TextFile) -> Result<Node, Problem> {
        self.budget = 2 * file.text.len() + 100_000;
        self.deserialize(document).map_err(|error| {
            let at = position(&error).unwrap_or(Position { line: 1, column: 1 });
            if self.budget == 0 {
                let hint = "write the values out instead of using `*` aliases";
                return file.problem(at, "aliases expand to far more than the file's size", hint);
            }
            not_yaml(file, at, &error)
        })
    }

    fn spend<E: de::Error>(&mut self, cost: usize) -> Result<(), E> {
        self.budget = self.budget.saturating_sub(cost);
        if self.budget == 0 && self.stop.is_none() { Err(E::custom("too large")) } else { Ok(()) }
    }
}

/// The problem of a text that is not YAML.
fn not_yaml(file: &TextFile, at: Position, error: &serde_yaml::Error) -> Problem {
    let line = file.text.lines().nth(at.line - 1).unwrap_or_default();
    let indentation = &line[..line.len() - line.trim_start().len()];
    if let Some(before) = indentation.find('\t') {
        let at = Position { column: before + 1, ..at };
        return file.problem(at, "found a tab as indentation, expected spaces", "replace the tab with two spaces");
    }
    let text = error.to_string().replacen(&format!(" at line {} column {}", at.line, at.column), "", 1);
    let text = text.replace("recursion limit exceeded", "nested too deeply");
    file.problem(at, format!("not YAML: {text}"), CHECK)
}

impl<'de> DeserializeSeed<'de> for &mut Pass {
    type Value = Node;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        let id = self.next;
        self.next += 1;
        self.spend(1)?;
        if self.stop == Some(id) {
            return deserializer.deserialize_any(Refuse);
        }
        if id == self.kinds.len() {
            self.kinds.push(None);
        }
        match self.kinds[id] {
            Some(_) => deserializer.deserialize_str(Build { pass: self, id }),
            None => deserializer.deserialize_any(Build { pass: self, id }),
        }
    }
}

/// Fails for every value.
struct Refuse;

impl Visitor<'_> for Refuse {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }
}

/// Builds a node from a value.
struct Build<'p> {
    pass: &'p mut Pass,
    id: usize,
}

impl Build<'_> {
    fn scalar<E: de::Error>(self, kind: Kind, text: &str) -> Result<Node, E> {
        self.pass.spend(text.len())?;
        let kind = *self.pass.kinds[self.id].get_or_insert(kind);
        Ok(Node { id: self.id, value: Value::Scalar(kind, text.to_owned()) })
    }
}

impl<'de> Visitor<'de> for Build<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_none<E: de::Error>(self) -> Result<Node, E> {
        self.visit_unit()
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node { id: self.id, value: Value::Nothing })
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Node, E> {
        self.scalar(Kind::Boolean, "")
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Node, E> {
        self.scalar(Kind::Number, "")
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Node, E> {
        self.scalar(Kind::Number, "")
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<Node, E> {
        self.scalar(Kind::Number, "")
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<Node, E> {
        self.scalar(Kind::Number, "")
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Node, E> {
        self.scalar(Kind::Number, "")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Node, E> {
        self.scalar(Kind::Text, text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(&mut *self.pass)? {
            list.push(item);
        }
        Ok(Node { id: self.id, value: Value::List(list) })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key_seed(&mut *self.pass)? {
            map.push((key, entries.next_value_seed(&mut *self.pass)?));
        }
        Ok(Node { id: self.id, value: Value::Map(map) })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Node, A::Error> {
        let (tag, content) = tagged.variant::<String>()?;
        content.newtype_variant::<IgnoredAny>()?;
        Ok(Node { id: self.id, value: Value::Scalar(Kind::Tagged, format!("!{tag}")) })
    }
}
