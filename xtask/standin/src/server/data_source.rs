//! Data sources: returns a matching stored resource, or generated values if there is none.

use anyhow::{Context as _, Result, bail};

use super::{Inner, Peer, decode_map};
use crate::backend::zone;
use crate::computed::set_unknown;
use crate::fields::text;
use crate::policy_document;
use crate::protocol::{Diagnostic, DynamicValue};
use crate::rules::Reader;
use crate::schema::{Object, Schema};
use crate::store::key;
use crate::template::last_segment;
use crate::validate::validate;
use crate::value::{Map, Value};

impl Inner {
    pub(super) fn validate_data_source(&self, name: &str, config: Option<&DynamicValue>) -> Result<Vec<Diagnostic>> {
        Ok(validate(
            &self.data_source_type(name)?.object,
            &self.rules.for_type(&format!("data.{name}")),
            &decode_map(config)?,
        ))
    }

    /// Fails if several resources match.
    pub(super) async fn read_data_source(
        &self,
        peer: Peer,
        name: &str,
        config: Option<&DynamicValue>,
    ) -> Result<Value> {
        let object = &self.data_source_type(name)?.object;
        let mut values = decode_map(config)?;
        let found = self.find(name, &values).await?;
        let rules = self.rules.for_type(&format!("data.{name}"));
        if let (Some(Reader::Zone), Some(route53)) = (rules.reader, &self.services.route53) {
            let zone = zone::read_data_source(route53, &values).await?;
            values.extend(zone.into_iter().filter(|(field, _)| object.fields.contains_key(field)));
        }
        for (field, of) in &object.fields {
            let is_set = values.get(field).is_some_and(|value| !value.is_null() && *value != Value::List(Vec::new()));
            if !is_set && of.computed {
                let value = found.as_ref().and_then(|found| found.get(field)).cloned();
                values.insert(field.clone(), value.unwrap_or(Value::Unknown));
            }
        }
        if let Some(Reader::PolicyDocument) = rules.reader {
            values.extend(policy_document::render(&values)?.map(|(field, text)| (field.to_owned(), text)));
        }
        let provider_config = self.provider_config(peer, &rules);
        // The same configuration generates the same values.
        let seed = Value::Map(decode_map(config)?).json().to_string();
        Ok(Value::Map(set_unknown(name, object, &rules, &provider_config, values, &seed)))
    }

    fn data_source_type(&self, name: &str) -> Result<&Schema> {
        let schema = self.provider.data_sources.get(name);
        schema.with_context(|| format!("the schema of {} does not have the data source {name}", self.provider.source))
    }

    /// Returns the resource that a data source of the same type selects.
    async fn find(&self, name: &str, config: &Map) -> Result<Option<Map>> {
        let Some(schema) = self.provider.resources.get(name) else { return Ok(None) };
        let mut matching = self.store.all(name, &schema.object)?;
        matching.retain(|values| matches(name, &schema.object, config, values));
        match (matching.pop(), matching.len()) {
            (Some(_), more) if more > 0 => bail!("{} resources of this type match", more + 1),
            (Some(found), _) => {
                let backend = self.rules.for_type(name).backend.unwrap_or_default();
                backend.read(self.context(name, schema), &key(&schema.object, &found)).await
            }
            (None, _) => Ok(None),
        }
    }
}

/// Whether a resource has all the configured values, of which there must be at least one.
fn matches(name: &str, object: &Object, config: &Map, values: &Map) -> bool {
    let mut compared = false;
    let equal = config.iter().filter_map(|(field, value)| Some((field, value.text()?))).all(|(field, wanted)| {
        // `container_id` of the data source scaleway_container is the resource's id.
        let is_id = field.strip_suffix("_id").is_some_and(|of| name.ends_with(of));
        let value = match object.fields.contains_key(field) {
            true => text(values, field),
            false if is_id => text(values, "id"),
            false => return true,
        };
        compared = true;
        let value = value.unwrap_or_default();
        // Either id can lack the region.
        value == wanted || last_segment(&value) == wanted || value == last_segment(&wanted)
    });
    equal && compared
}
