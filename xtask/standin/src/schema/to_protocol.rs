//! Converts schemas to the protocol's messages.

use serde_json::json;

use super::{Field, Kind, Nesting, Object, Schema, Type};
use crate::protocol::schema::{self, Attribute, Block, NestedBlock};

impl Schema {
    pub fn to_protocol(&self) -> crate::protocol::Schema {
        let block = Block { version: self.version, ..block(&self.object) };
        crate::protocol::Schema { version: self.version, block: Some(block) }
    }
}

fn block(object: &Object) -> Block {
    let blocks = object.fields.iter().filter_map(|(name, field)| {
        let (Kind::Nested(nesting, of), Some(items)) = (&field.kind, field.block) else { return None };
        Some(NestedBlock {
            type_name: name.clone(),
            block: Some(block(of)),
            nesting: mode(*nesting).into(),
            min_items: items.min,
            max_items: items.max,
        })
    });
    Block { version: 0, attributes: attributes(object), block_types: blocks.collect(), deprecated: false }
}

fn attributes(object: &Object) -> Vec<Attribute> {
    object
        .fields
        .iter()
        .filter(|(_, field)| field.block.is_none())
        .map(|(name, field)| attribute(name, field))
        .collect()
}

fn attribute(name: &str, field: &Field) -> Attribute {
    let (plain, nested_type) = match &field.kind {
        Kind::Plain(of) => (of.json().to_string().into_bytes(), None),
        Kind::Nested(nesting, of) => {
            (Vec::new(), Some(schema::Object { attributes: attributes(of), nesting: mode(*nesting).into() }))
        }
    };
    Attribute {
        name: name.to_owned(),
        r#type: plain,
        required: field.required,
        optional: field.optional,
        computed: field.computed,
        sensitive: field.sensitive,
        deprecated: field.deprecated,
        nested_type,
        write_only: field.write_only,
    }
}

fn mode(nesting: Nesting) -> schema::Nesting {
    match nesting {
        Nesting::Single => schema::Nesting::Single,
        Nesting::List => schema::Nesting::List,
        Nesting::Set => schema::Nesting::Set,
        Nesting::Map => schema::Nesting::Map,
        Nesting::Group => schema::Nesting::Group,
    }
}

impl Type {
    fn json(&self) -> serde_json::Value {
        match self {
            Self::String => "string".into(),
            Self::Number => "number".into(),
            Self::Bool => "bool".into(),
            Self::List(of) => json!(["list", of.json()]),
            Self::Set(of) => json!(["set", of.json()]),
            Self::Map(of) => json!(["map", of.json()]),
            Self::Object(fields) => {
                let fields: serde_json::Map<_, _> = fields.iter().map(|(name, of)| (name.clone(), of.json())).collect();
                json!(["object", fields])
            }
        }
    }
}
