//! A provider being served: what each call of the protocol comes to.

mod apply;
mod calls;
mod data;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context as _, Result};
use tokio::sync::broadcast;

use crate::act::{Act, Resource};
use crate::diagnostic::{error, error_at, failed};
use crate::faults::Faults;
use crate::fill::conformed;
use crate::machine::Machine;
use crate::path::walk;
use crate::plan::Planner;
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
    machine: Arc<Machine>,
    faults: Faults,
    /// The provider's settings, by whose they are.
    settings: RwLock<HashMap<Peer, Map>>,
    /// Who asks to stop: who works looks at it.
    stop: broadcast::Sender<Peer>,
}

/// Who speaks. Each `provider` block of each running OpenTofu has a connection of its own, and all may have the same
/// address of this process: `aws` of two regions, two stacks at once.
type Peer = Option<SocketAddr>;

impl Server {
    /// Serves a provider on what is kept in a folder.
    pub fn new(mut provider: Provider, rules: Rules, machine: Arc<Machine>, state: &Path) -> Result<Self> {
        provider.complete(&rules)?;
        Ok(Self(Arc::new(Served {
            provider,
            rules,
            store: Store::open(state)?,
            machine,
            faults: Faults::in_folder(state),
            settings: RwLock::default(),
            stop: broadcast::Sender::new(64),
        })))
    }

    /// As a stack names the provider.
    pub fn source(&self) -> &str {
        &self.0.provider.source
    }

    /// Looks at the containers that there are: what one before this has left is reached again.
    pub async fn look_around(&self) -> Result<()> {
        let served = &*self.0;
        for (name, schema) in &served.provider.resources {
            let act = served.rules.of(name).act.unwrap_or_default();
            if matches!(act, Act::Container) && served.machine.docker.is_some() {
                for values in served.store.all(name, &schema.object)? {
                    act.read(served.at(name, schema), &key(&schema.object, &values)).await?;
                }
            }
        }
        Ok(())
    }
}

impl Served {
    /// A type of resource: its fields and its rules.
    fn resource(&self, name: &str) -> Result<(&Schema, TypeRules)> {
        let schema = self.provider.resources.get(name);
        let schema = schema.with_context(|| format!("{name} is not in the schema of {}", self.provider.source))?;
        Ok((schema, self.rules.of(name)))
    }

    /// A resource of a type: what acts on it needs to know.
    fn at<'a>(&'a self, name: &'a str, schema: &'a Schema) -> Resource<'a> {
        let (store, machine, provider) = (&self.store, &*self.machine, &self.provider);
        Resource { store, machine, provider, name, object: &schema.object, stop: None }
    }

    /// What the stack says of the provider, and what the rules say where it says nothing.
    fn settings(&self, peer: Peer, rules: &TypeRules) -> Map {
        let mut settings: Map =
            rules.settings.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        let all = self.settings.read().unwrap_or_else(PoisonError::into_inner);
        let set = all.get(&peer).into_iter().flatten();
        settings.extend(set.filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), value.clone())));
        settings
    }

    fn validate_resource(
        &self,
        name: &str,
        config: Option<&DynamicValue>,
        write_only: bool,
    ) -> Result<Vec<Diagnostic>> {
        let (schema, rules) = self.resource(name)?;
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

    fn plan(
        &self,
        peer: Peer,
        request: &wire::plan_resource_change::Request,
    ) -> Result<wire::plan_resource_change::Response> {
        let (schema, rules) = self.resource(&request.type_name)?;
        let Value::Map(proposed) = Value::received(request.proposed_new_state.as_ref())? else {
            // Nothing is planned of what ends.
            return Ok(wire::plan_resource_change::Response {
                planned_state: request.proposed_new_state.clone(),
                ..Default::default()
            });
        };
        let prior = Value::received(request.prior_state.as_ref())?;
        let settings = self.settings(peer, &rules);
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
        let (schema, rules) = self.resource(name)?;
        let state = received(state)?;
        let key = key(&schema.object, &state);
        let now = rules.act.unwrap_or_default().read(self.at(name, schema), &key).await?;
        Ok(now.map_or(Value::Null, Value::Map))
    }

    fn upgrade(&self, name: &str, raw: &[u8]) -> Result<Value> {
        let (schema, ..) = self.resource(name)?;
        let json: serde_json::Value = serde_json::from_slice(raw).context("the stored state is no JSON")?;
        let Value::Map(state) = json.into() else { return Ok(Value::Null) };
        // An older schema had what this one lacks.
        Ok(Value::Map(conformed(&schema.object, state)))
    }

    async fn import(&self, name: &str, id: &str) -> Result<Value> {
        let (schema, rules) = self.resource(name)?;
        let object = &schema.object;
        let found = rules.act.unwrap_or_default().read(self.at(name, schema), id).await?;
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
