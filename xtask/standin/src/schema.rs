//! The schemas of a provider, read from `tofu providers schema -json`. Blocks and attributes are both [`Field`]s, because
//! most code treats them alike.

mod conform;
mod dump;
mod to_protocol;

use std::collections::BTreeMap;

#[derive(Debug)]
pub struct Provider {
    /// The source address without the registry's host, such as `scaleway/scaleway`.
    pub source: String,
    pub config: Schema,
    /// By resource type.
    pub resources: BTreeMap<String, Schema>,
    /// By data source type.
    pub data_sources: BTreeMap<String, Schema>,
}

#[derive(Debug, Default)]
pub struct Schema {
    pub version: i64,
    pub object: Object,
}

#[derive(Debug, Default)]
pub struct Object {
    pub fields: BTreeMap<String, Field>,
}

/// An attribute or a nested block.
#[derive(Debug)]
pub struct Field {
    pub kind: Kind,
    pub required: bool,
    pub optional: bool,
    pub computed: bool,
    pub sensitive: bool,
    pub write_only: bool,
    pub deprecated: bool,
    /// `None` for an attribute.
    pub block: Option<Items>,
}

/// How many blocks are allowed. A `max` of 0 means no limit.
#[derive(Clone, Copy, Debug)]
pub struct Items {
    pub min: i64,
    pub max: i64,
}

#[derive(Debug)]
pub enum Kind {
    Plain(Type),
    Nested(Nesting, Object),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Nesting {
    Single,
    List,
    Set,
    Map,
    Group,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    String,
    Number,
    Bool,
    List(Box<Type>),
    Set(Box<Type>),
    Map(Box<Type>),
    Object(BTreeMap<String, Type>),
}

impl Field {
    /// Whether a configuration cannot set the field.
    pub fn is_read_only(&self) -> bool {
        self.computed && !self.optional && !self.required
    }
}
