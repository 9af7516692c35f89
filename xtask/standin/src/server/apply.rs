//! What a plan says is done: a resource is made, changed or ended, and what shall go wrong does.

use anyhow::Result;

use super::{Served, error, failed, legacy};
use crate::act::Resource;
use crate::faults::{Failure, Operation, Struck};
use crate::fill::fill;
use crate::protocol::apply_resource_change::{Request, Response};
use crate::protocol::{Diagnostic, DynamicValue};
use crate::store::key;
use crate::value::{Map, Value};

/// A call that did not do all that it was to do, and what there is now.
struct Halted {
    state: Option<DynamicValue>,
    why: Diagnostic,
}

impl Served {
    /// Does what a plan says.
    pub(super) async fn apply(&self, request: &Request) -> Response {
        let done = self.done(request).await.unwrap_or_else(|error| {
            let why = failed(&format!("{} cannot be applied", request.type_name), &error);
            Err(Halted { state: request.prior_state.clone(), why })
        });
        let legacy_type_system = legacy(&self.rules.of(&request.type_name));
        match done {
            Ok(state) => Response { new_state: Some(state), diagnostics: Vec::new(), legacy_type_system },
            Err(Halted { state, why }) => Response { new_state: state, diagnostics: vec![why], legacy_type_system },
        }
    }

    async fn done(&self, request: &Request) -> Result<Result<DynamicValue, Halted>> {
        let name = &request.type_name;
        let (schema, rules, settings) = self.resource(name)?;
        let resource = Resource { store: &self.store, name, object: &schema.object };
        let act = rules.act.unwrap_or_default();
        let prior = Value::received(request.prior_state.as_ref())?;
        let planned = Value::received(request.planned_state.as_ref())?;
        let (during, named) = match (&prior, &planned) {
            (Value::Map(prior), Value::Map(_)) => (Operation::Update, prior.clone()),
            (Value::Map(prior), _) => (Operation::Delete, prior.clone()),
            (_, planned) => (Operation::Create, planned.map().cloned().unwrap_or_default()),
        };
        let halt = |failure: Failure, state: Option<DynamicValue>| {
            Ok(Err(Halted { state, why: error(&failure.summary, failure.detail) }))
        };
        let struck = self.faults.strike(name, during, &named)?;
        if struck.die {
            die();
        }
        if !self.waited(&struck).await {
            let summary = format!("{name}: stopped");
            let detail = "OpenTofu was asked to stop, and the provider gave up before anything was done".to_owned();
            return halt(Failure { summary, detail }, request.prior_state.clone());
        }
        if let Some(failure) = struck.fail {
            return halt(failure, request.prior_state.clone());
        }
        let state = match (during, planned) {
            (Operation::Delete, _) => {
                act.delete(resource, &named).await?;
                Value::Null
            }
            (_, planned) => {
                let planned = planned.map().cloned().unwrap_or_default();
                let mut values = fill(name, &schema.object, &rules, &settings, planned, &fresh()?);
                values.extend(struck.set.into_iter().filter(|(name, _)| schema.object.fields.contains_key(name)));
                let values = if during == Operation::Create {
                    act.create(resource, values).await?
                } else {
                    act.update(resource, values).await?
                };
                if !struck.drift.is_empty() {
                    let drifted: Map = values.clone().into_iter().chain(struck.drift).collect();
                    self.store.replace(name, &key(&schema.object, &values), &drifted)?;
                }
                Value::Map(values)
            }
        };
        if struck.die_after {
            die();
        }
        match struck.fail_after {
            Some(failure) => halt(failure, Some(state.stated())),
            None => Ok(Ok(state.stated())),
        }
    }

    /// Takes its time. Whether nobody asked to stop meanwhile.
    async fn waited(&self, struck: &Struck) -> bool {
        let mut stop = self.stop.subscribe();
        tokio::select! {
            () = tokio::time::sleep(struck.wait) => true,
            _ = stop.changed() => false,
        }
    }
}

/// Ends the process as a crash would.
fn die() -> ! {
    std::process::exit(101)
}

/// What no other resource has.
fn fresh() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}
