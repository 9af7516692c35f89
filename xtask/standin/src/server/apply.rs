//! `ApplyResourceChange`: creates, updates or deletes a resource, with the faults that `faults.json` injects.

use anyhow::Result;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::{Inner, Peer, legacy_type_system};
use crate::backend::{Backend, Resource};
use crate::computed::set_unknown;
use crate::diagnostic::{error, from_error};
use crate::faults::{Failure, Injected, Operation};
use crate::protocol::apply_resource_change::{Request, Response};
use crate::protocol::{Diagnostic, DynamicValue};
use crate::store::key;
use crate::validate::refused_by_api;
use crate::value::{Map, Value};

struct Outcome {
    new_state: Option<DynamicValue>,
    error: Option<Diagnostic>,
}

impl Inner {
    pub(super) async fn apply(&self, peer: Peer, request: &Request) -> Response {
        let outcome = self.apply_change(peer, request).await.unwrap_or_else(|error| {
            unchanged(request, from_error(&format!("{} cannot be applied", request.type_name), &error))
        });
        Response {
            new_state: outcome.new_state,
            diagnostics: Vec::from_iter(outcome.error),
            legacy_type_system: legacy_type_system(&self.rules.for_type(&request.type_name)),
        }
    }

    async fn apply_change(&self, peer: Peer, request: &Request) -> Result<Outcome> {
        // From here on, because OpenTofu asks once: what it asks between two waits is not missed.
        let mut stop_request = StopRequest { stops: self.stop.subscribe(), peer };
        let name = &request.type_name;
        let prior = Value::decode(request.prior_state.as_ref())?;
        let planned = Value::decode(request.planned_state.as_ref())?;
        let operation = match (&prior, &planned) {
            (_, Value::Null) => Operation::Delete,
            (Value::Null, _) => Operation::Create,
            _ => Operation::Update,
        };
        let values = if operation == Operation::Create { &planned } else { &prior };
        let mut injected = self.faults.take(name, operation, values.map().unwrap_or(&Map::new()))?;
        if injected.crash_before {
            crash();
        }
        let interrupted = (!delay(&injected, &mut stop_request).await).then(|| Failure {
            summary: format!("{name}: stopped"),
            detail: "OpenTofu was asked to stop, and the provider has changed nothing".to_owned(),
        });
        if let Some(failure) = interrupted.or(injected.fail_before.take()) {
            return Ok(unchanged(request, diagnostic(failure)));
        }
        let (schema, rules) = self.resource_type(name)?;
        let backend = rules.backend.clone().unwrap_or_default();
        let resource = self.context(name, schema);
        let state = match (planned, prior) {
            (Value::Map(planned), _) => {
                let provider_config = self.provider_config(peer, &rules);
                let values = set_unknown(name, &schema.object, &rules, &provider_config, planned, &random_seed()?);
                let refused = refused_by_api(&schema.object, &rules, &values);
                if !refused.is_empty() {
                    let summary = format!("{name}: the API refuses the arguments");
                    return Ok(unchanged(request, error(&summary, refused.join("\n"))));
                }
                let stop = CancellationToken::new();
                let resource = Resource { stop: Some(&stop), ..resource };
                let mut applied = Box::pin(self.create_or_update(&backend, resource, operation, values, &injected));
                Value::Map(tokio::select! {
                    applied = &mut applied => applied?,
                    () = stop_request.arrived() => {
                        stop.cancel();
                        applied.await?
                    }
                })
            }
            (_, Value::Map(prior)) => {
                backend.delete(resource, &prior).await?;
                Value::Null
            }
            _ => Value::Null,
        };
        if injected.crash_after {
            crash();
        }
        Ok(Outcome { new_state: Some(state.encode_json()), error: injected.fail_after.map(diagnostic) })
    }

    async fn create_or_update(
        &self,
        backend: &Backend,
        resource: Resource<'_>,
        operation: Operation,
        values: Map,
        injected: &Injected,
    ) -> Result<Map> {
        let mut values = match operation {
            Operation::Create => backend.create(resource, values).await?,
            _ => backend.update(resource, values).await?,
        };
        let known = injected.result.iter().filter(|(field, _)| resource.object.fields.contains_key(*field));
        values.extend(known.map(|(field, value)| (field.clone(), value.clone())));
        if !injected.result.is_empty() || !injected.drift.is_empty() {
            let drifted: Map = values.clone().into_iter().chain(injected.drift.clone()).collect();
            self.store.replace(resource.name, &key(resource.object, &values), &drifted)?;
        }
        Ok(values)
    }
}

/// The `StopProvider` calls since this value was made.
struct StopRequest {
    stops: broadcast::Receiver<Peer>,
    peer: Peer,
}

impl StopRequest {
    /// Waits until this client has called `StopProvider`.
    async fn arrived(&mut self) {
        while self.stops.recv().await != Ok(self.peer) {}
    }
}

/// Waits for the injected delay. Returns false if the user interrupts OpenTofu meanwhile.
async fn delay(injected: &Injected, stop_request: &mut StopRequest) -> bool {
    tokio::select! {
        () = tokio::time::sleep(injected.delay) => true,
        () = stop_request.arrived() => false,
    }
}

fn unchanged(request: &Request, error: Diagnostic) -> Outcome {
    Outcome { new_state: request.prior_state.clone(), error: Some(error) }
}

fn diagnostic(failure: Failure) -> Diagnostic {
    error(&failure.summary, failure.detail)
}

/// Exits with the code of a Rust panic.
fn crash() -> ! {
    std::process::exit(101)
}

/// A new resource gets an id that no other resource has.
pub(super) fn random_seed() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}
