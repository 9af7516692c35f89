//! What the platform's own API does with the resources of a provider.

use anyhow::{Result, bail};

use super::Server;
use super::apply::random_seed;
use crate::backend::Resource;
use crate::computed::set_unknown;
use crate::validate::refused_by_api;
use crate::value::{Map, Value};

impl Server {
    /// The context of an operation on a resource of this type. Fails if the schema does not have the type.
    pub fn resource<'a>(&'a self, name: &'a str) -> Result<Resource<'a>> {
        let (schema, ..) = self.0.resource_type(name)?;
        Ok(self.0.context(name, schema))
    }

    /// The stored values of all resources of a type.
    pub fn stored(&self, name: &str) -> Result<Vec<Map>> {
        let resource = self.resource(name)?;
        resource.store.all(name, resource.object)
    }

    /// The current values of a resource. None if it does not exist.
    pub async fn current(&self, name: &str, key: &str) -> Result<Option<Map>> {
        let (schema, rules) = self.0.resource_type(name)?;
        rules.backend.unwrap_or_default().read(self.0.context(name, schema), key).await
    }

    /// Creates a resource with these arguments, and returns its values. The inner error is why the API refuses it.
    pub async fn create(&self, name: &str, arguments: Map) -> Result<Result<Map, String>> {
        let (schema, rules) = self.0.resource_type(name)?;
        let mut planned = schema.object.conform(arguments);
        for (field, value) in &mut planned {
            if value.is_null() && schema.object.fields.get(field).is_some_and(|field| field.computed) {
                *value = Value::Unknown;
            }
        }
        let config = self.0.provider_config(None, &rules);
        let values = set_unknown(name, &schema.object, &rules, &config, planned, &random_seed()?);
        let refused = refused_by_api(&schema.object, &rules, &values);
        if !refused.is_empty() {
            return Ok(Err(refused.join("; ")));
        }
        rules.backend.unwrap_or_default().create(self.0.context(name, schema), values).await.map(Ok)
    }

    /// Changes arguments of a resource, and returns its values. Fails if it does not exist.
    pub async fn change(&self, name: &str, id: &str, arguments: Map) -> Result<Map> {
        let (schema, rules) = self.0.resource_type(name)?;
        let resource = self.0.context(name, schema);
        let Some(mut values) = resource.store.get(name, id, &schema.object)? else { bail!("there is no {name} {id}") };
        values.extend(arguments);
        rules.backend.unwrap_or_default().update(resource, values).await
    }
}
