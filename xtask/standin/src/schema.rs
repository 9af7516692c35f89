//! What a provider may be asked for: a dump of `tofu providers schema -json`, read into one tree. Blocks and attributes
//! are fields alike, as nearly everything that looks at them does the same with both.

mod dump;
mod wire;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

/// One provider's schemas.
#[derive(Debug)]
pub struct Provider {
    /// As a stack names it, `scaleway/scaleway`.
    pub source: String,
    /// Its own settings.
    pub config: Schema,
    /// By type.
    pub resources: BTreeMap<String, Schema>,
    /// By type.
    pub data_sources: BTreeMap<String, Schema>,
}

/// What a resource, a data source or the provider itself has.
#[derive(Debug, Default)]
pub struct Schema {
    /// Of the schema, which a state names.
    pub version: i64,
    /// Its fields.
    pub object: Object,
}

/// Fields by name.
#[derive(Debug, Default)]
pub struct Object {
    /// Attributes and blocks.
    pub fields: BTreeMap<String, Field>,
}

/// An attribute or block.
#[derive(Debug)]
pub struct Field {
    /// What it holds.
    pub kind: Kind,
    /// A configuration must set it.
    pub required: bool,
    /// A configuration may set it.
    pub optional: bool,
    /// The provider may decide it.
    pub computed: bool,
    /// Never shown.
    pub sensitive: bool,
    /// Never stored.
    pub write_only: bool,
    /// Said when it is used.
    pub deprecated: bool,
    /// How many there may be, where it is a block.
    pub block: Option<Items>,
}

/// How many blocks of a kind there may be. No more than 0 is no limit.
#[derive(Clone, Copy, Debug)]
pub struct Items {
    /// At least.
    pub min: i64,
    /// At most.
    pub max: i64,
}

/// What a field holds.
#[derive(Debug)]
pub enum Kind {
    /// A value of a type.
    Plain(Type),
    /// Objects with fields of their own.
    Nested(Nesting, Object),
}

/// How many objects there are and what tells them apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Nesting {
    /// One or none.
    Single,
    /// Their place.
    List,
    /// All that they are.
    Set,
    /// A key.
    Map,
    /// One, always.
    Group,
}

/// A type, as far as values without a type need it.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// A text.
    String,
    /// A number.
    Number,
    /// True or false.
    Bool,
    /// Some of one type, in order.
    List(Box<Type>),
    /// Some of one type, each once.
    Set(Box<Type>),
    /// Some of one type, by key.
    Map(Box<Type>),
    /// Each of its own type, by name.
    Object(BTreeMap<String, Type>),
}

impl Field {
    /// Whether only the provider decides it.
    pub fn only_computed(&self) -> bool {
        self.computed && !self.optional && !self.required
    }
}

impl Provider {
    /// Reads the dump of one provider. Fails on one of none, of several, or with a type that is not known.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs_err::read_to_string(path)?;
        let said = || format!("{} is no dump of `tofu providers schema -json`", path.display());
        let dump: dump::Dump = serde_json::from_str(&text).with_context(said)?;
        let count = dump.provider_schemas.len();
        ensure!(count == 1, "{} holds the schemas of {count} providers, and one is served from one", path.display());
        let (source, provider) = dump.provider_schemas.into_iter().next().expect("it was counted");
        // Of the registry's host, the namespace and the name, only the last two tell which provider it is.
        let parts: Vec<&str> = source.split('/').collect();
        let source = parts[parts.len().saturating_sub(2)..].join("/");
        provider.read(source).with_context(said)
    }
}
