//! Data sources: what is asked for, from what exists where it exists, else as it would look.

use anyhow::{Context as _, Result, bail};

use super::{Peer, Served, received};
use crate::act::zone;
use crate::fill::fill;
use crate::policy;
use crate::protocol::{Diagnostic, DynamicValue};
use crate::rules::Answer;
use crate::schema::{Object, Schema};
use crate::store::key;
use crate::template::last;
use crate::validate::validate;
use crate::value::{Map, Value};

impl Served {
    /// What is wrong with the question.
    pub(super) fn validate_data(&self, name: &str, config: Option<&DynamicValue>) -> Result<Vec<Diagnostic>> {
        Ok(validate(&self.data(name)?.object, &self.rules.of(&format!("data.{name}")), &received(config)?))
    }

    /// The answer. Fails where several of what exists are meant.
    pub(super) async fn read_data(&self, peer: Peer, name: &str, config: Option<&DynamicValue>) -> Result<Value> {
        let object = &self.data(name)?.object;
        let mut asked = received(config)?;
        let found = self.found(name, &asked).await?;
        let rules = self.rules.of(&format!("data.{name}"));
        if let (Some(Answer::Zone), Some(route53)) = (rules.answer, &self.machine.route53) {
            let there = zone::asked(route53, &asked).await?;
            asked.extend(there.into_iter().filter(|(field, _)| object.fields.contains_key(field)));
        }
        for (field, of) in &object.fields {
            let set = asked.get(field).is_some_and(|value| !value.is_null() && *value != Value::List(Vec::new()));
            if !set && of.computed {
                let there = found.as_ref().and_then(|found| found.get(field)).cloned();
                asked.insert(field.clone(), there.unwrap_or(Value::Unknown));
            }
        }
        if let Some(Answer::PolicyDocument) = rules.answer {
            asked.extend(policy::written(&asked)?.map(|(field, text)| (field.to_owned(), text)));
        }
        let settings = self.settings(peer, &rules);
        // The same question gets the same answer.
        let fresh = Value::Map(received(config)?).json().to_string();
        Ok(Value::Map(fill(name, object, &rules, &settings, asked, &fresh)))
    }

    fn data(&self, name: &str) -> Result<&Schema> {
        let schema = self.provider.data_sources.get(name);
        schema.with_context(|| format!("{name} is not in the schema of {}", self.provider.source))
    }

    async fn found(&self, name: &str, asked: &Map) -> Result<Option<Map>> {
        let Some(schema) = self.provider.resources.get(name) else { return Ok(None) };
        let mut fitting = self.store.all(name, &schema.object)?;
        fitting.retain(|values| fits(name, &schema.object, asked, values));
        match (fitting.pop(), fitting.len()) {
            (Some(_), more) if more > 0 => bail!("{} resources of this type fit what is asked for", more + 1),
            (Some(found), _) => {
                let act = self.rules.of(name).act.unwrap_or_default();
                act.read(self.at(name, schema), &key(&schema.object, &found)).await
            }
            (None, _) => Ok(None),
        }
    }
}

fn fits(name: &str, object: &Object, asked: &Map, values: &Map) -> bool {
    let mut compared = false;
    let same = asked.iter().filter(|(_, value)| value.text().is_some()).all(|(field, value)| {
        // `container_id` of a scaleway_container is its id.
        let id = field.strip_suffix("_id").is_some_and(|of| name.ends_with(of));
        let there = match object.fields.contains_key(field) {
            true => values.get(field),
            false if id => values.get("id"),
            false => return true,
        };
        compared = true;
        let (there, value) = (there.and_then(Value::text).unwrap_or_default(), value.text().unwrap_or_default());
        // With or without its region.
        there == value || last(&there) == value || there == last(&value)
    });
    same && compared
}
