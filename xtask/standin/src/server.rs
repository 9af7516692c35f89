//! A provider that is being served, and the calls of the protocol that plan, read, upgrade and import resources.

mod apply;
mod calls;
mod data_source;
mod platform;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context as _, Result};
use tokio::sync::broadcast;

use crate::backend::{Backend, Resource};
use crate::diagnostic::{error_at, from_error};
use crate::faults::Faults;
use crate::path::walk;
use crate::plan::Planner;
use crate::protocol::{self, Diagnostic, DynamicValue};
use crate::rules::{Rules, TypeRules};
use crate::schema::{Provider, Schema};
use crate::services::Services;
use crate::socket::Number;
use crate::store::{Store, key};
use crate::validate::validate;
use crate::value::{Map, Value};

/// One provider. Clones share its state.
#[derive(Clone)]
pub struct Server(Arc<Inner>);

struct Inner {
    provider: Provider,
    rules: Rules,
    store: Store,
    services: Arc<Services>,
    faults: Faults,
    provider_configs: RwLock<HashMap<Peer, Map>>,
    /// Sends the peers that have called `StopProvider` to the operations that they wait for.
    stop: broadcast::Sender<Peer>,
}

/// The client's connection. OpenTofu opens one for each `provider` block, so it tells apart two regions of `aws`, or two stacks
/// that use this process at the same time.
type Peer = Option<Number>;

impl Server {
    pub fn new(mut provider: Provider, rules: Rules, services: Arc<Services>, state: &Path) -> Result<Self> {
        let names: Vec<_> = provider.resources.keys().cloned().collect();
        for name in names {
            provider.add_attributes(&name, rules.for_type(&name).attributes)?;
        }
        Ok(Self(Arc::new(Inner {
            provider,
            rules,
            store: Store::open(state)?,
            services,
            faults: Faults::in_folder(state),
            provider_configs: RwLock::default(),
            stop: broadcast::Sender::new(64),
        })))
    }

    /// The source address of the provider, such as `scaleway/scaleway`.
    pub fn source(&self) -> &str {
        &self.0.provider.source
    }

    /// Opens the proxies of the containers that a previous process has started.
    pub async fn reopen_proxies(&self) -> Result<()> {
        let inner = &*self.0;
        for (name, schema) in &inner.provider.resources {
            let backend = inner.rules.for_type(name).backend.unwrap_or_default();
            if matches!(backend, Backend::Container) && inner.services.docker.is_some() {
                for values in inner.store.all(name, &schema.object)? {
                    // Reading a container opens its proxy.
                    backend.read(inner.context(name, schema), &key(&schema.object, &values)).await?;
                }
            }
        }
        Ok(())
    }
}

impl Inner {
    /// Returns the schema and the rules of a resource type.
    fn resource_type(&self, name: &str) -> Result<(&Schema, TypeRules)> {
        let schema = self.provider.resources.get(name);
        let schema = schema.with_context(|| format!("the schema of {} does not have {name}", self.provider.source))?;
        Ok((schema, self.rules.for_type(name)))
    }

    /// The context of an operation on a resource of this type.
    fn context<'a>(&'a self, name: &'a str, schema: &'a Schema) -> Resource<'a> {
        let (store, services, provider) = (&self.store, &*self.services, &self.provider);
        Resource { store, services, provider, name, object: &schema.object, stop: None }
    }

    /// The provider's configuration, with the defaults of the rules where it is null.
    fn provider_config(&self, peer: Peer, rules: &TypeRules) -> Map {
        let defaults = rules.provider_defaults.iter().map(|(name, value)| (name.clone(), value.clone().into()));
        let mut config: Map = defaults.collect();
        let configs = self.provider_configs.read().unwrap_or_else(PoisonError::into_inner);
        let set = configs.get(&peer).into_iter().flatten();
        config.extend(set.filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), value.clone())));
        config
    }

    fn validate_resource(
        &self,
        name: &str,
        config: Option<&DynamicValue>,
        write_only_allowed: bool,
    ) -> Result<Vec<Diagnostic>> {
        let (schema, rules) = self.resource_type(name)?;
        let config = decode_map(config)?;
        let mut diagnostics = validate(&schema.object, &rules, &config);
        // SDKv2 adds an optional and computed `id` to every resource, and rejects configurations that set it.
        let is_sdk_id = schema.object.fields.get("id").is_some_and(|id| id.optional && id.computed);
        walk(&schema.object, &config, &mut |path, field, value| {
            if is_sdk_id && path.rule() == "id" && !value.is_null() {
                diagnostics.push(error_at(path, "Invalid or unknown key", "\"id\" is decided by the provider"));
            }
            if field.write_only && !value.is_null() && !write_only_allowed {
                let detail = format!("\"{path}\" is write-only, which requires OpenTofu 1.11 or later");
                diagnostics.push(error_at(path, "Write-only attribute not allowed", detail));
            }
        });
        Ok(diagnostics)
    }

    fn plan(
        &self,
        peer: Peer,
        request: &protocol::plan_resource_change::Request,
    ) -> Result<protocol::plan_resource_change::Response> {
        let (schema, rules) = self.resource_type(&request.type_name)?;
        let Value::Map(proposed) = Value::decode(request.proposed_new_state.as_ref())? else {
            // A destroy plan is null.
            return Ok(protocol::plan_resource_change::Response {
                planned_state: request.proposed_new_state.clone(),
                ..Default::default()
            });
        };
        let prior = Value::decode(request.prior_state.as_ref())?;
        let provider_config = self.provider_config(peer, &rules);
        let planner = Planner { object: &schema.object, rules: &rules, provider_config: &provider_config };
        let (planned, replace) = planner.plan(prior.map(), &proposed, &decode_map(request.config.as_ref())?);
        Ok(protocol::plan_resource_change::Response {
            planned_state: Some(Value::Map(planned).encode_msgpack()),
            requires_replace: replace.iter().map(crate::path::Path::to_protocol).collect(),
            diagnostics: Vec::new(),
            legacy_type_system: legacy_type_system(&rules),
        })
    }

    async fn read(&self, name: &str, state: Option<&DynamicValue>) -> Result<Value> {
        let (schema, rules) = self.resource_type(name)?;
        if rules.reads_nothing {
            return Value::decode(state);
        }
        let key = key(&schema.object, &decode_map(state)?);
        let current = rules.backend.unwrap_or_default().read(self.context(name, schema), &key).await?;
        Ok(current.map_or(Value::Null, Value::Map))
    }

    fn upgrade(&self, name: &str, raw: &[u8]) -> Result<Value> {
        let (schema, ..) = self.resource_type(name)?;
        let json: serde_json::Value = serde_json::from_slice(raw).context("the stored state is not JSON")?;
        let Value::Map(state) = json.into() else { return Ok(Value::Null) };
        Ok(Value::Map(schema.object.conform(state)))
    }

    async fn import(&self, name: &str, id: &str) -> Result<Value> {
        let (schema, rules) = self.resource_type(name)?;
        let object = &schema.object;
        match rules.backend.unwrap_or_default().read(self.context(name, schema), id).await? {
            Some(values) => Ok(Value::Map(values)),
            None => {
                let ids: Vec<_> = self.store.all(name, object)?.iter().map(|values| key(object, values)).collect();
                anyhow::bail!("there is no {name} {id:?}; existing ids: {ids:?}")
            }
        }
    }
}

fn decode_map(value: Option<&DynamicValue>) -> Result<Map> {
    Ok(if let Value::Map(map) = Value::decode(value)? { map } else { Map::new() })
}

/// Splits a result into the two fields of a response.
fn encode_result(summary: &str, result: Result<Value>) -> (Option<DynamicValue>, Vec<Diagnostic>) {
    match result {
        Ok(value) => (Some(value.encode_json()), Vec::new()),
        Err(error) => (None, vec![from_error(summary, &error)]),
    }
}

/// Whether the response must set `legacy_type_system`: only then OpenTofu accepts defaults in fields that are not computed.
fn legacy_type_system(rules: &TypeRules) -> bool {
    !rules.default.is_empty()
}
