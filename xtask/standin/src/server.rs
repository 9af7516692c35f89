//! The protocol's calls, each taken apart and put together; what they decide is in the modules they name.

mod apply;
mod data;

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context as _, Result};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::act::Resource;
use crate::diagnostic::{error, error_at, failed};
use crate::faults::Faults;
use crate::fill::conformed;
use crate::path::walk;
use crate::plan::Planner;
use crate::protocol::provider_server::Provider as Calls;
use crate::protocol::{self as wire, Diagnostic, DynamicValue};
use crate::rules::{Rules, TypeRules};
use crate::schema::{Provider, Schema};
use crate::store::{Store, key};
use crate::validate::validate;
use crate::value::{Map, Value};

/// One provider being served. Clones are the same one.
#[derive(Clone)]
pub struct Server(Arc<Served>);

struct Served {
    provider: Provider,
    rules: Rules,
    store: Store,
    faults: Faults,
    /// The provider's settings as the stack that spoke last has them.
    settings: RwLock<Map>,
    /// Counts the requests to stop: who works looks at it.
    stop: watch::Sender<u64>,
}

type Answer<T> = Result<Response<T>, Status>;

impl Server {
    /// Serves a provider on what is kept in a folder.
    pub fn new(provider: Provider, rules: Rules, state: &Path) -> Result<Self> {
        Ok(Self(Arc::new(Served {
            provider,
            rules,
            store: Store::open(state)?,
            faults: Faults::in_folder(state),
            settings: RwLock::default(),
            stop: watch::Sender::new(0),
        })))
    }

    /// As a stack names the provider.
    pub fn source(&self) -> &str {
        &self.0.provider.source
    }
}

impl Served {
    /// A type of resource: its fields, its rules, and the settings that it sees.
    fn resource(&self, name: &str) -> Result<(&Schema, TypeRules, Map)> {
        let schema = self.provider.resources.get(name);
        let schema = schema.with_context(|| format!("{name} is not in the schema of {}", self.provider.source))?;
        let rules = self.rules.of(name);
        let settings = self.settings(&rules);
        Ok((schema, rules, settings))
    }

    /// What the stack says of the provider, and what the rules say where it says nothing.
    fn settings(&self, rules: &TypeRules) -> Map {
        let mut settings: Map =
            rules.settings.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        let set = self.settings.read().unwrap_or_else(PoisonError::into_inner);
        settings.extend(
            set.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), value.clone())),
        );
        settings
    }

    fn validate_resource(
        &self,
        name: &str,
        config: Option<&DynamicValue>,
        write_only: bool,
    ) -> Result<Vec<Diagnostic>> {
        let (schema, rules, _) = self.resource(name)?;
        let config = received(config)?;
        let mut problems = validate(&schema.object, &rules, &config);
        // Providers of one kit add an id to every resource, and a stack may not set that one.
        let id = schema.object.fields.get("id").is_some_and(|id| id.optional && id.computed);
        walk(&schema.object, &config, &mut |path, field, value| {
            if id && path.rule() == "id" && !value.is_null() {
                problems.push(error_at(path, "Invalid or unknown key", "\"id\" is decided by the provider"));
            }
            if field.write_only && !value.is_null() && !write_only {
                let detail = format!("\"{path}\" is write-only, which takes OpenTofu 1.11 or later");
                problems.push(error_at(path, "Write-only attribute not allowed", detail));
            }
        });
        Ok(problems)
    }

    fn plan(&self, request: &wire::plan_resource_change::Request) -> Result<wire::plan_resource_change::Response> {
        let (schema, rules, settings) = self.resource(&request.type_name)?;
        let Value::Map(proposed) = Value::received(request.proposed_new_state.as_ref())? else {
            // Nothing is planned of what ends.
            return Ok(wire::plan_resource_change::Response {
                planned_state: request.proposed_new_state.clone(),
                ..Default::default()
            });
        };
        let prior = Value::received(request.prior_state.as_ref())?;
        let planner = Planner { object: &schema.object, rules: &rules, settings: &settings };
        let (planned, replace) = planner.plan(prior.map(), &proposed, &received(request.config.as_ref())?);
        Ok(wire::plan_resource_change::Response {
            planned_state: Some(Value::Map(planned).planned()),
            requires_replace: replace.iter().map(crate::path::Path::wire).collect(),
            diagnostics: Vec::new(),
            legacy_type_system: legacy(&rules),
        })
    }

    async fn read(&self, name: &str, state: Option<&DynamicValue>) -> Result<Value> {
        let (schema, rules, _) = self.resource(name)?;
        let state = received(state)?;
        let resource = Resource { store: &self.store, name, object: &schema.object };
        let now = rules.act.unwrap_or_default().read(resource, &key(&schema.object, &state)).await?;
        Ok(now.map_or(Value::Null, Value::Map))
    }

    fn upgrade(&self, name: &str, raw: &[u8]) -> Result<Value> {
        let (schema, ..) = self.resource(name)?;
        let json: serde_json::Value = serde_json::from_slice(raw).context("the stored state is no JSON")?;
        let Value::Map(mut state) = json.into() else { return Ok(Value::Null) };
        // An older schema had what this one lacks.
        state.retain(|name, _| schema.object.fields.contains_key(name));
        Ok(Value::Map(conformed(&schema.object, state)))
    }

    async fn import(&self, name: &str, id: &str) -> Result<Value> {
        let (schema, rules, _) = self.resource(name)?;
        let object = &schema.object;
        let found = rules.act.unwrap_or_default().read(Resource { store: &self.store, name, object }, id).await?;
        let found = match found {
            Some(found) => found,
            None => {
                let there: Vec<_> = self.store.all(name, object)?.iter().map(|values| key(object, values)).collect();
                anyhow::bail!("there is no {name} {id:?}; there is {there:?}")
            }
        };
        Ok(Value::Map(found))
    }
}

#[tonic::async_trait]
impl Calls for Server {
    async fn get_provider_schema(
        &self,
        _: Request<wire::get_provider_schema::Request>,
    ) -> Answer<wire::get_provider_schema::Response> {
        let provider = &self.0.provider;
        let all = |schemas: &std::collections::BTreeMap<String, Schema>| {
            schemas.iter().map(|(name, schema)| (name.clone(), schema.wire())).collect()
        };
        Ok(Response::new(wire::get_provider_schema::Response {
            provider: Some(provider.config.wire()),
            resource_schemas: all(&provider.resources),
            data_source_schemas: all(&provider.data_sources),
            diagnostics: Vec::new(),
            server_capabilities: Some(wire::ServerCapabilities {
                plan_destroy: false,
                get_provider_schema_optional: true,
            }),
        }))
    }

    async fn validate_provider_config(
        &self,
        request: Request<wire::validate_provider_config::Request>,
    ) -> Answer<wire::validate_provider_config::Response> {
        let config = received(request.get_ref().config.as_ref());
        let check = |config: Map| validate(&self.0.provider.config.object, &TypeRules::default(), &config);
        let diagnostics = config.map_or_else(|error| vec![failed("Invalid provider configuration", &error)], check);
        Ok(Response::new(wire::validate_provider_config::Response { diagnostics }))
    }

    async fn validate_resource_config(
        &self,
        request: Request<wire::validate_resource_config::Request>,
    ) -> Answer<wire::validate_resource_config::Response> {
        let request = request.get_ref();
        let write_only = request.client_capabilities.as_ref().is_some_and(|can| can.write_only_attributes_allowed);
        let problems = self.0.validate_resource(&request.type_name, request.config.as_ref(), write_only);
        let diagnostics = problems.unwrap_or_else(|error| vec![failed("Invalid configuration", &error)]);
        Ok(Response::new(wire::validate_resource_config::Response { diagnostics }))
    }

    async fn validate_data_resource_config(
        &self,
        request: Request<wire::validate_data_resource_config::Request>,
    ) -> Answer<wire::validate_data_resource_config::Response> {
        let request = request.get_ref();
        let problems = self.0.validate_data(&request.type_name, request.config.as_ref());
        let diagnostics = problems.unwrap_or_else(|error| vec![failed("Invalid configuration", &error)]);
        Ok(Response::new(wire::validate_data_resource_config::Response { diagnostics }))
    }

    async fn upgrade_resource_state(
        &self,
        request: Request<wire::upgrade_resource_state::Request>,
    ) -> Answer<wire::upgrade_resource_state::Response> {
        let request = request.into_inner();
        let (state, diagnostics) = answer(
            "The stored state cannot be read",
            self.0.upgrade(&request.type_name, &request.raw_state.unwrap_or_default().json),
        );
        Ok(Response::new(wire::upgrade_resource_state::Response { upgraded_state: state, diagnostics }))
    }

    async fn configure_provider(
        &self,
        request: Request<wire::configure_provider::Request>,
    ) -> Answer<wire::configure_provider::Response> {
        let mut diagnostics = Vec::new();
        match received(request.get_ref().config.as_ref()) {
            Ok(config) => *self.0.settings.write().unwrap_or_else(PoisonError::into_inner) = config,
            Err(error) => diagnostics.push(failed("Invalid provider configuration", &error)),
        }
        Ok(Response::new(wire::configure_provider::Response { diagnostics }))
    }

    async fn read_resource(
        &self,
        request: Request<wire::read_resource::Request>,
    ) -> Answer<wire::read_resource::Response> {
        let request = request.get_ref();
        let read = self.0.read(&request.type_name, request.current_state.as_ref()).await;
        let (new_state, diagnostics) = answer(&format!("{} cannot be read", request.type_name), read);
        Ok(Response::new(wire::read_resource::Response { new_state, diagnostics }))
    }

    async fn plan_resource_change(
        &self,
        request: Request<wire::plan_resource_change::Request>,
    ) -> Answer<wire::plan_resource_change::Response> {
        let request = request.get_ref();
        let planned = self.0.plan(request).unwrap_or_else(|error| wire::plan_resource_change::Response {
            planned_state: request.prior_state.clone(),
            diagnostics: vec![failed(&format!("{} cannot be planned", request.type_name), &error)],
            ..Default::default()
        });
        Ok(Response::new(planned))
    }

    async fn apply_resource_change(
        &self,
        request: Request<wire::apply_resource_change::Request>,
    ) -> Answer<wire::apply_resource_change::Response> {
        Ok(Response::new(self.0.apply(request.get_ref()).await))
    }

    async fn import_resource_state(
        &self,
        request: Request<wire::import_resource_state::Request>,
    ) -> Answer<wire::import_resource_state::Response> {
        let request = request.into_inner();
        let (state, diagnostics) =
            answer("Cannot import non-existent remote object", self.0.import(&request.type_name, &request.id).await);
        let imported = wire::import_resource_state::ImportedResource { type_name: request.type_name, state };
        let imported_resources = if diagnostics.is_empty() { vec![imported] } else { Vec::new() };
        Ok(Response::new(wire::import_resource_state::Response { imported_resources, diagnostics }))
    }

    async fn read_data_source(
        &self,
        request: Request<wire::read_data_source::Request>,
    ) -> Answer<wire::read_data_source::Response> {
        let request = request.get_ref();
        let read = self.0.read_data(&request.type_name, request.config.as_ref());
        let (state, diagnostics) = answer(&format!("{} cannot be read", request.type_name), read);
        Ok(Response::new(wire::read_data_source::Response { state, diagnostics }))
    }

    async fn stop_provider(&self, _: Request<wire::stop_provider::Request>) -> Answer<wire::stop_provider::Response> {
        self.0.stop.send_modify(|requests| *requests += 1);
        Ok(Response::new(wire::stop_provider::Response::default()))
    }
}

fn received(value: Option<&DynamicValue>) -> Result<Map> {
    Ok(if let Value::Map(map) = Value::received(value)? { map } else { Map::new() })
}

fn answer(what: &str, value: Result<Value>) -> (Option<DynamicValue>, Vec<Diagnostic>) {
    match value {
        Ok(value) => (Some(value.stated()), Vec::new()),
        Err(error) => (None, vec![failed(what, &error)]),
    }
}

/// Defaults of a field that is not computed: OpenTofu allows that to providers of the older kit, which say so.
fn legacy(rules: &TypeRules) -> bool {
    !rules.default.is_empty()
}
