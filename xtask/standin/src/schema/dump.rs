//! Reads the output of `tofu providers schema -json`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use super::{Field, Items, Kind, Nesting, Object, Provider, Schema, Type};

impl Provider {
    /// Reads a dump. Fails unless it holds exactly one provider whose types are all known.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs_err::read_to_string(path)?;
        let context = || format!("{} is not the output of `tofu providers schema -json`", path.display());
        let dump: Dump = serde_json::from_str(&text).with_context(context)?;
        let count = dump.provider_schemas.len();
        ensure!(count == 1, "{} holds the schemas of {count} providers; it must hold one", path.display());
        let (source, provider) = dump.provider_schemas.into_iter().next().expect("the count is one");
        // `host/namespace/name`: OpenTofu and Terraform use different hosts for the same provider.
        let parts: Vec<&str> = source.split('/').collect();
        let source = parts[parts.len().saturating_sub(2)..].join("/");
        provider.read(source).with_context(context)
    }

    /// Adds attributes that the dump lacks to a resource type. `attributes` has the format of a dump.
    pub fn add_attributes(&mut self, name: &str, attributes: BTreeMap<String, serde_json::Value>) -> Result<()> {
        let Some(schema) = self.resources.get_mut(name) else { return Ok(()) };
        let parsed = attributes.into_iter().map(|(field, json)| Ok((field, serde_json::from_value(json)?)));
        let parsed = parsed.collect::<Result<_>>().with_context(|| format!("read the rules' attributes of {name}"))?;
        for (field, attribute) in read_attributes(parsed)? {
            schema.object.fields.entry(field).or_insert(attribute);
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Dump {
    provider_schemas: BTreeMap<String, DumpedProvider>,
}

#[derive(Deserialize)]
struct DumpedProvider {
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
    fn read(self, source: String) -> Result<Provider> {
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

impl DumpedSchema {
    fn read(self) -> Result<Schema> {
        Ok(Schema { version: self.version, object: self.block.read()? })
    }
}

impl Block {
    fn read(self) -> Result<Object> {
        let mut fields = read_attributes(self.attributes)?;
        for (name, block) in self.block_types {
            let kind = Kind::Nested(read_nesting(&block.nesting_mode)?, block.block.read().context(name.clone())?);
            let items = Items { min: block.min_items, max: block.max_items };
            let field = Field {
                kind,
                required: items.min > 0,
                optional: items.min == 0,
                computed: false,
                sensitive: false,
                write_only: false,
                deprecated: false,
                block: Some(items),
            };
            fields.insert(name, field);
        }
        Ok(Object { fields })
    }
}

fn read_attributes(dumped: BTreeMap<String, Attribute>) -> Result<BTreeMap<String, Field>> {
    let read = |(name, attribute): (String, Attribute)| {
        let kind = match (attribute.nested_type, attribute.r#type) {
            (Some(nested), _) => {
                let fields = read_attributes(nested.attributes).context(name.clone())?;
                Kind::Nested(read_nesting(&nested.nesting_mode)?, Object { fields })
            }
            (None, Some(json)) => Kind::Plain(read_type(&json).context(name.clone())?),
            (None, None) => bail!("{name} has no type"),
        };
        let Attribute { required, optional, computed, sensitive, write_only, deprecated, .. } = attribute;
        Ok((name, Field { kind, required, optional, computed, sensitive, write_only, deprecated, block: None }))
    };
    dumped.into_iter().map(read).collect()
}

fn read_nesting(mode: &str) -> Result<Nesting> {
    Ok(match mode {
        "single" => Nesting::Single,
        "list" => Nesting::List,
        "set" => Nesting::Set,
        "map" => Nesting::Map,
        "group" => Nesting::Group,
        _ => bail!("unknown nesting mode {mode:?}"),
    })
}

fn read_type(json: &serde_json::Value) -> Result<Type> {
    let parts = json.as_array().map_or(&[][..], Vec::as_slice);
    Ok(match (json.as_str(), parts) {
        // A `dynamic` value is encoded together with its type. The one attribute of that type takes a number or a
        // string, and OpenTofu converts either to a string.
        (Some("string" | "dynamic"), _) => Type::String,
        (Some("number"), _) => Type::Number,
        (Some("bool"), _) => Type::Bool,
        (None, [kind, of]) if kind == "list" => Type::List(Box::new(read_type(of)?)),
        (None, [kind, of]) if kind == "set" => Type::Set(Box::new(read_type(of)?)),
        (None, [kind, of]) if kind == "map" => Type::Map(Box::new(read_type(of)?)),
        (None, [kind, of, ..]) if kind == "object" => {
            let fields = of.as_object().with_context(|| format!("object type {json} has no attributes"))?;
            Type::Object(fields.iter().map(|(name, of)| Ok((name.clone(), read_type(of)?))).collect::<Result<_>>()?)
        }
        _ => bail!("unknown type {json}"),
    })
}
