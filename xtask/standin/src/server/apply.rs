//! What a plan says is done: a resource is made, changed or ended, and what shall go wrong does.

use anyhow::Result;

use super::{Peer, Served, error, failed, legacy};
use crate::act::Resource;
use crate::faults::{Failure, Operation, Struck};
use crate::fill::fill;
use crate::protocol::apply_resource_change::{Request, Response};
use crate::protocol::{Diagnostic, DynamicValue};
use crate::store::key;
use crate::value::{Map, Value};

/// What a call has come to.
struct Done {
    /// What there is now.
    state: Option<DynamicValue>,
    /// Why it is not what it should be.
    problem: Option<Diagnostic>,
}

impl Served {
    /// Does what a plan says.
    pub(super) async fn apply(&self, peer: Peer, request: &Request) -> Response {
        let unchanged = |problem| Done { state: request.prior_state.clone(), problem: Some(problem) };
        let done = self.done(peer, request).await;
        let done =
            done.unwrap_or_else(|error| unchanged(failed(&format!("{} cannot be applied", request.type_name), &error)));
        Response {
            new_state: done.state,
            diagnostics: Vec::from_iter(done.problem),
            legacy_type_system: legacy(&self.rules.of(&request.type_name)),
        }
    }

    async fn done(&self, peer: Peer, request: &Request) -> Result<Done> {
        let name = &request.type_name;
        let prior = Value::received(request.prior_state.as_ref())?;
        let planned = Value::received(request.planned_state.as_ref())?;
        let during = match (&prior, &planned) {
            (_, Value::Null) => Operation::Delete,
            (Value::Null, _) => Operation::Create,
            _ => Operation::Update,
        };
        let there = if during == Operation::Create { &planned } else { &prior };
        let mut struck = self.faults.strike(name, during, there.map().unwrap_or(&Map::new()))?;
        if struck.die {
            die();
        }
        let stopped = !self.waited(peer, &struck).await;
        let halted = stopped.then(|| Failure {
            summary: format!("{name}: stopped"),
            detail: "OpenTofu was asked to stop, and the provider gave up before anything was done".to_owned(),
        });
        if let Some(failure) = halted.or(struck.fail.take()) {
            return Ok(Done { state: request.prior_state.clone(), problem: Some(said(failure)) });
        }
        let state = match (planned, prior) {
            (Value::Map(planned), _) => Value::Map(self.made(peer, name, during, planned, &struck).await?),
            (_, Value::Map(prior)) => self.ended(name, &prior).await?,
            _ => Value::Null,
        };
        if struck.die_after {
            die();
        }
        Ok(Done { state: Some(state.stated()), problem: struck.fail_after.map(said) })
    }

    /// Makes or changes a resource, with some values as they should not be, and others so behind its back.
    async fn made(&self, peer: Peer, name: &str, during: Operation, planned: Map, struck: &Struck) -> Result<Map> {
        let (schema, rules) = self.resource(name)?;
        let settings = self.settings(peer, &rules);
        let resource = Resource { store: &self.store, name, object: &schema.object };
        let mut values = fill(name, &schema.object, &rules, &settings, planned, &fresh()?);
        let known = struck.set.iter().filter(|(field, _)| schema.object.fields.contains_key(*field));
        values.extend(known.map(|(field, value)| (field.clone(), value.clone())));
        let act = rules.act.unwrap_or_default();
        let values = match during {
            Operation::Create => act.create(resource, values).await?,
            _ => act.update(resource, values).await?,
        };
        if !struck.drift.is_empty() {
            let drifted: Map = values.clone().into_iter().chain(struck.drift.clone()).collect();
            self.store.replace(name, &key(&schema.object, &values), &drifted)?;
        }
        Ok(values)
    }

    async fn ended(&self, name: &str, prior: &Map) -> Result<Value> {
        let (schema, rules) = self.resource(name)?;
        let resource = Resource { store: &self.store, name, object: &schema.object };
        rules.act.unwrap_or_default().delete(resource, prior).await?;
        Ok(Value::Null)
    }

    /// Takes its time. Whether nobody asked to stop meanwhile.
    async fn waited(&self, peer: Peer, struck: &Struck) -> bool {
        let mut stops = self.stop.subscribe();
        let asked = async { while stops.recv().await != Ok(peer) {} };
        tokio::select! {
            () = tokio::time::sleep(struck.wait) => true,
            () = asked => false,
        }
    }
}

fn said(failure: Failure) -> Diagnostic {
    error(&failure.summary, failure.detail)
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
