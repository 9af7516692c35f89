//! The containers of an environment: the service, its worker, the proxy. Labels tell them apart; none has a setting in it.

use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::time::timeout;

use super::proxy::Slot;
use super::{Candidate, Host};
use crate::clients::docker::kept::{Kept, Port, Spec};
use crate::config::{Container, SuppliedBy};
use crate::env::Env;
use crate::failure::Failure;
use crate::settings;
use crate::targets::log_tail;

/// The port that the service listens on in its container.
pub const INSIDE: u16 = 8080;

/// The labels: `<project>/<environment>`, what the container is for, its record's id, its version.
pub const ENVIRONMENT: &str = "xtask.environment";
pub const ROLE: &str = "xtask.role";
pub const ID: &str = "xtask.id";
pub const VERSION: &str = "xtask.version";
/// The label of a service: the name in the network by which the proxy reaches it.
pub const SLOT: &str = "xtask.slot";

const SERVICE: &str = "service";
const WORKER: &str = "worker";
pub const RUN: &str = "run";
pub const PROXY: &str = "proxy";

/// A worker that runs for so long has started.
const WORKER_START: Duration = Duration::from_secs(2);
/// Lines of a container's log that an error repeats.
pub const TAIL: usize = 25;

/// Where a folder of data is in a container.
pub fn folder(name: &str) -> String {
    format!("/data/{name}")
}

/// A container of an environment, with name and labels alone.
pub fn named(env: &Env<'_>, role: &str, id: &str, version: &str) -> Spec {
    // A run that is resumed has the id of the one before, whose containers may still be there.
    let moment = jiff::Timestamp::now().as_millisecond();
    let name = format!("{}-{role}-{}-{moment:x}", prefix(env), id.to_lowercase());
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let labels = [label(ENVIRONMENT, &env.store_prefix()), label(ROLE, role), label(ID, id), label(VERSION, version)];
    Spec { name, labels: labels.into(), ..Spec::default() }
}

fn prefix(env: &Env<'_>) -> String {
    format!("{}-{}", env.config.project, env.name())
}

impl Host<'_> {
    /// The container of a release that serves, or is to serve.
    pub(super) fn service(&self, id: &str, version: &str, slot: Slot, image: String, env: Vec<String>) -> Spec {
        let port = Port { inside: INSIDE, address: Some("127.0.0.1"), outside: None };
        let args = Some(self.env.config.service.args.clone()).filter(|args| !args.is_empty());
        let mut spec = self.spec(SERVICE, id, version, image, env, &self.target.service);
        spec.labels.insert(SLOT.to_owned(), slot.name().to_owned());
        Spec { args, ports: vec![port], alias: Some(slot.name().to_owned()), ..spec }
    }

    /// Starts the worker of a release, if the environment has one. Its id.
    pub(super) async fn start_worker(&self, candidate: &Candidate) -> Result<Option<String>> {
        let Some((args, limits)) = &self.target.worker else { return Ok(None) };
        let Spec { image, env, labels, .. } = candidate.spec.clone();
        let (id, version) = (&labels[ID], candidate.version());
        let spec = Spec { args: Some(args.clone()), ..self.spec(WORKER, id, version, image, env, limits) };
        let engine = self.engine().await?;
        let worker = engine.make(&spec).await?;
        let runs = async {
            engine.begin(&worker).await?;
            match timeout(WORKER_START, engine.ended(&worker)).await {
                Err(_elapsed) => Ok(()),
                Ok(code) => {
                    let log = log_tail(&engine.last_lines(&worker, TAIL).await?);
                    Err(anyhow!("its worker ended with exit code {}\n{log}", code?))
                }
            }
        };
        if let Err(error) = runs.await {
            engine.discard(&worker).await?;
            return Err(error);
        }
        Ok(Some(worker))
    }

    /// A container that runs the released program once.
    pub(super) fn one_off(&self, id: &str, version: &str, image: String, env: Vec<String>, args: &[String]) -> Spec {
        Spec { args: Some(args.to_vec()), ..self.spec(RUN, id, version, image, env, &self.target.service) }
    }

    /// The containers of releases: services and workers, newest first.
    pub(super) async fn releases(&self) -> Result<Vec<Kept>, Failure> {
        self.with_roles(&[SERVICE, WORKER]).await
    }

    /// The services, newest first.
    pub(super) async fn services(&self) -> Result<Vec<Kept>, Failure> {
        self.with_roles(&[SERVICE]).await
    }

    /// Those, and what `run` has started.
    pub(super) async fn all_but_the_proxy(&self) -> Result<Vec<Kept>, Failure> {
        self.with_roles(&[SERVICE, WORKER, RUN]).await
    }

    /// The proxy, if there is one.
    pub(super) async fn proxies(&self) -> Result<Vec<Kept>, Failure> {
        self.with_roles(&[PROXY]).await
    }

    /// What the names of its containers, volumes and network begin with.
    pub(super) fn prefix(&self) -> String {
        prefix(self.env)
    }

    async fn with_roles(&self, roles: &[&str]) -> Result<Vec<Kept>, Failure> {
        let mut kept = self.engine().await?.kept(ENVIRONMENT, &self.env.store_prefix()).await?;
        kept.retain(|kept| kept.labels.get(ROLE).is_some_and(|role| roles.contains(&role.as_str())));
        Ok(kept)
    }

    fn spec(&self, role: &str, id: &str, version: &str, image: String, env: Vec<String>, limits: &Container) -> Spec {
        let folders = settings::table(self.env).map(|table| table.settings).unwrap_or_default();
        let folders = folders.into_iter().filter_map(|setting| match setting.supplied_by {
            Some(SuppliedBy::DataFolder(name)) => Some((format!("{}-{name}", self.prefix()), folder(&name))),
            _ => None,
        });
        Spec {
            image,
            env,
            network: self.prefix(),
            volumes: folders.collect(),
            nano_cpus: limits.cpus.parse::<f64>().ok().map(|cpus| (cpus * 1e9) as i64),
            memory: Some(limits.memory),
            ..named(self.env, role, id, version)
        }
    }
}
