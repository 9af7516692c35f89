//! The shape of a dump, and the tree that is made of it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::{Field, Items, Kind, Nesting, Object, Provider, Schema, Type};
use crate::rules::Rules;

#[derive(Deserialize)]
pub struct Dump {
    pub provider_schemas: BTreeMap<String, DumpedProvider>,
}

#[derive(Deserialize)]
pub struct DumpedProvider {
    provider: Option<DumpedSchema>,
    #[serde(default)]
    resource_schemas: BTreeMap<String, DumpedSchema>,
    #[serde(default)]
    data_source_schemas: BTreeMap<String, DumpedSchema>,
}

#[derive(Deserialize)]
struct DumpedSchema {
    version: i64,
    block: Block,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Block {
    attributes: BTreeMap<String, Attribute>,
    block_types: BTreeMap<String, NestedBlock>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Attribute {
    r#type: Option<serde_json::Value>,
    nested_type: Option<NestedType>,
    required: bool,
    optional: bool,
    computed: bool,
    sensitive: bool,
    write_only: bool,
    deprecated: bool,
}

#[derive(Deserialize)]
struct NestedType {
    attributes: BTreeMap<String, Attribute>,
    nesting_mode: String,
}

#[derive(Deserialize)]
struct NestedBlock {
    nesting_mode: String,
    block: Block,
    #[serde(default)]
    min_items: i64,
    #[serde(default)]
    max_items: i64,
}

impl DumpedProvider {
    pub fn read(self, source: String) -> Result<Provider> {
        let all = |schemas: BTreeMap<String, DumpedSchema>| -> Result<_> {
            schemas.into_iter().map(|(name, schema)| Ok((name.clone(), schema.read().context(name)?))).collect()
        };
        Ok(Provider {
            source,
            config: self.provider.map(DumpedSchema::read).transpose()?.unwrap_or_default(),
            resources: all(self.resource_schemas)?,
            data_sources: all(self.data_source_schemas)?,
        })
    }
}

impl Provider {
    /// Adds the attributes that only the rules know. What a dump has stays.
    pub fn complete(&mut self, rules: &Rules) -> Result<()> {
        for (name, schema) in &mut self.resources {
            let known = rules.of(name).attributes.into_iter();
            let more = known.map(|(field, json)| Ok((field, serde_json::from_value(json)?))).collect::<Result<_>>();
            let more = attributes(more.with_context(|| format!("the rules' attributes of {name}"))?)?;
            for (field, attribute) in more {
                schema.object.fields.entry(field).or_insert(attribute);
            }
        }
        Ok(())
    }
}

impl DumpedSchema {
    fn read(self) -> Result<Schema> {
        Ok(Schema { version: self.version, object: self.block.read()? })
    }
}

impl Block {
    fn read(self) -> Result<Object> {
        let mut fields = attributes(self.attributes)?;
        for (name, block) in self.block_types {
            let kind = Kind::Nested(nesting(&block.nesting_mode)?, block.block.read().context(name.clone())?);
            let items = Items { min: block.min_items, max: block.max_items };
            let (required, optional, computed, sensitive) = (items.min > 0, items.min == 0, false, false);
            let field = Field {
                kind,
                required,
                optional,
                computed,
                sensitive,
                write_only: false,
                deprecated: false,
                block: Some(items),
            };
            fields.insert(name, field);
        }
        Ok(Object { fields })
    }
}

fn attributes(dumped: BTreeMap<String, Attribute>) -> Result<BTreeMap<String, Field>> {
    let read = |(name, attribute): (String, Attribute)| {
        let kind = match (attribute.nested_type, attribute.r#type) {
            (Some(nested), _) => {
                let fields = attributes(nested.attributes).context(name.clone())?;
                Kind::Nested(nesting(&nested.nesting_mode)?, Object { fields })
            }
            (None, Some(json)) => Kind::Plain(read_type(&json).context(name.clone())?),
            (None, None) => bail!("{name} has no type"),
        };
        let Attribute { required, optional, computed, sensitive, write_only, deprecated, .. } = attribute;
        Ok((name, Field { kind, required, optional, computed, sensitive, write_only, deprecated, block: None }))
    };
    dumped.into_iter().map(read).collect()
}

fn nesting(mode: &str) -> Result<Nesting> {
    Ok(match mode {
        "single" => Nesting::Single,
        "list" => Nesting::List,
        "set" => Nesting::Set,
        "map" => Nesting::Map,
        "group" => Nesting::Group,
        _ => bail!("nesting mode {mode:?} is not known"),
    })
}

fn read_type(json: &serde_json::Value) -> Result<Type> {
    let parts = json.as_array().map_or(&[][..], Vec::as_slice);
    Ok(match (json.as_str(), parts) {
        // Of `dynamic` each value brings its type, in another encoding. The one attribute that has it is a number or
        // text, and OpenTofu makes a text of either.
        (Some("string" | "dynamic"), _) => Type::String,
        (Some("number"), _) => Type::Number,
        (Some("bool"), _) => Type::Bool,
        (None, [kind, of]) if kind == "list" => Type::List(Box::new(read_type(of)?)),
        (None, [kind, of]) if kind == "set" => Type::Set(Box::new(read_type(of)?)),
        (None, [kind, of]) if kind == "map" => Type::Map(Box::new(read_type(of)?)),
        (None, [kind, of, ..]) if kind == "object" => {
            let fields = of.as_object().with_context(|| format!("{json} names no fields"))?;
            Type::Object(fields.iter().map(|(name, of)| Ok((name.clone(), read_type(of)?))).collect::<Result<_>>()?)
        }
        _ => bail!("type {json} is not known"),
    })
}
