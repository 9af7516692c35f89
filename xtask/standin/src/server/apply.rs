//! What a plan says is done: a resource is made, changed or ended, and what shall go wrong does.

use anyhow::Result;
use tokio_util::sync::CancellationToken;

use super::{Peer, Served, error, failed, legacy};
use crate::act::{Act, Resource};
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
        let done = self.done(peer, request).await;
        let done = done.unwrap_or_else(|error| {
            unchanged(request, failed(&format!("{} cannot be applied", request.type_name), &error))
        });
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
        let stopped = (!self.waited(peer, &struck).await).then(|| Failure {
            summary: format!("{name}: stopped"),
            detail: "OpenTofu was asked to stop, and the provider gave up before anything was done".to_owned(),
        });
        if let Some(failure) = stopped.or(struck.fail.take()) {
            return Ok(unchanged(request, said(failure)));
        }
        let (schema, rules) = self.resource(name)?;
        let act = rules.act.clone().unwrap_or_default();
        let resource = self.at(name, schema);
        let state = match (planned, prior) {
            (Value::Map(planned), _) => {
                let settings = self.settings(peer, &rules);
                let values = fill(name, &schema.object, &rules, &settings, planned, &fresh()?);
                let stop = CancellationToken::new();
                let resource = Resource { stop: Some(&stop), ..resource };
                let mut made = Box::pin(self.made(&act, resource, during, values, &struck));
                Value::Map(tokio::select! {
                    made = &mut made => made?,
                    () = self.asked_to_stop(peer) => {
                        stop.cancel();
                        made.await?
                    }
                })
            }
            (_, Value::Map(prior)) => {
                act.delete(resource, &prior).await?;
                Value::Null
            }
            _ => Value::Null,
        };
        if struck.die_after {
            die();
        }
        Ok(Done { state: Some(state.stated()), problem: struck.fail_after.map(said) })
    }

    /// Makes or changes a resource; some values come out as they should not be, and others so behind its back.
    async fn made(&self, act: &Act, of: Resource<'_>, during: Operation, values: Map, struck: &Struck) -> Result<Map> {
        let mut values = match during {
            Operation::Create => act.create(of, values).await?,
            _ => act.update(of, values).await?,
        };
        let known = struck.set.iter().filter(|(field, _)| of.object.fields.contains_key(*field));
        values.extend(known.map(|(field, value)| (field.clone(), value.clone())));
        if !struck.set.is_empty() || !struck.drift.is_empty() {
            let drifted: Map = values.clone().into_iter().chain(struck.drift.clone()).collect();
            self.store.replace(of.name, &key(of.object, &values), &drifted)?;
        }
        Ok(values)
    }

    /// Takes its time. Whether nobody asked to stop meanwhile.
    async fn waited(&self, peer: Peer, struck: &Struck) -> bool {
        tokio::select! {
            () = tokio::time::sleep(struck.wait) => true,
            () = self.asked_to_stop(peer) => false,
        }
    }

    async fn asked_to_stop(&self, peer: Peer) {
        let mut stops = self.stop.subscribe();
        while stops.recv().await != Ok(peer) {}
    }
}

/// All is as it was before.
fn unchanged(request: &Request, problem: Diagnostic) -> Done {
    Done { state: request.prior_state.clone(), problem: Some(problem) }
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
