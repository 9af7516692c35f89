//! A Docker host: a proxy, and behind it the container of the release that serves. The proxy's own configuration says which one that is.

mod candidate;
mod checks;
pub mod containers;
mod fleet;
pub mod image;
mod log;
mod one_off;
mod proxy;
pub mod settings;
pub mod setup;

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use futures_util::future::try_join_all;
use tokio::time::Instant;

pub use self::candidate::Candidate;
pub use self::fleet::{Fleet, Seen};
use self::proxy::Slot;
use super::condition::Condition;
use super::docker::Machine;
use super::stack::image::of_record;
use super::{Serving, Started as _, Switched};
use crate::clients::docker::Engine;
use crate::clients::docker::kept::Kept;
use crate::clients::service::{Answer, Readiness, Service};
use crate::config;
use crate::env::Env;
use crate::failure::Failure;
use crate::release::{Published, Release, Settings};
use crate::report::Ongoing;
use crate::signals::Stop;
use crate::state::history::Record;
use crate::tools::ssh::Remote;

/// Seconds that a container has to finish its requests.
const DRAIN: i32 = 60;
/// How long a request may take from the proxy's choice of a slot to the release in it.
const SETTLE: Duration = Duration::from_secs(1);
/// How long the previous release may take for the requests that it has before it is told to end, and between two looks.
const FINISH: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(200);

/// One of the Docker hosts of an environment.
pub struct Host<'a> {
    env: &'a Env<'a>,
    target: &'a config::Compose,
    /// The image of the proxy.
    proxy: &'a str,
    machine: Machine,
}

impl<'a> Host<'a> {
    fn new(env: &'a Env<'a>, target: &'a config::Compose, proxy: &'a str, remote: Option<Remote>) -> Self {
        Self { env, target, proxy, machine: Machine::new(remote) }
    }

    /// Its name, for people: `ssh://user@host`.
    pub fn name(&self) -> String {
        self.machine.name()
    }

    /// Where people reach the service.
    pub fn address(&self) -> String {
        match &self.target.domain {
            Some(domain) => format!("https://{domain}"),
            None => format!("http://localhost:{}", self.target.port),
        }
    }

    /// The release that serves, if one does.
    pub async fn serving(&self) -> Result<Option<Serving>, Failure> {
        let Some(container) = self.container_that_serves().await?.filter(|container| container.is_running) else {
            return Ok(None);
        };
        let label = |name: &str| container.labels.get(name).cloned().unwrap_or_default();
        let service = self.service_of(&container).await?;
        Ok(Some(Serving {
            id: label(containers::ID),
            version: label(containers::VERSION),
            address: self.address(),
            service,
        }))
    }

    /// What it has, or that it is away.
    async fn seen(&self) -> Seen {
        let host = self.name();
        match self.serving().await {
            Ok(Some(serving)) => {
                let answer = serving.service.ask().await;
                let ready = answer.is_ready_as(&serving.version);
                let health = if ready { "ready".to_owned() } else { answer.describe() };
                Seen { host, version: Some(serving.version), ready, health }
            }
            Ok(None) => Seen { host, version: None, ready: false, health: "nothing serves".to_owned() },
            Err(failure) => {
                let health = format!("it cannot be asked: {:#}", failure.into_error());
                Seen { host, version: None, ready: false, health }
            }
        }
    }

    /// The image of an earlier deploy. Refused if it is no longer kept.
    pub async fn published(&self, record: &Record) -> Result<Published, Failure> {
        let published = of_record(self.env, record)?;
        if image::is_there(self, &published).await? {
            return Ok(published);
        }
        let (version, name) = (record.version(), self.env.name());
        Err(Failure::Refused(anyhow!(
            "the image of {version} is no longer kept; to deploy its commit again, type: git checkout {} && cargo xtask deploy {name}",
            published.source.commit
        )))
    }

    /// Starts the release's container beside the one that serves. What an earlier run left is removed first, also its worker.
    pub async fn apply(&self, id: String, release: &Release, settings: &Settings) -> Result<Candidate, Failure> {
        let engine = self.engine().await?;
        let serving = self.container_that_serves().await?;
        let serves = |kept: &Kept| {
            let same_id = |serving: &Kept| serving.labels.get(containers::ID) == kept.labels.get(containers::ID);
            let is_service = kept.labels.contains_key(containers::SLOT);
            serving.as_ref().is_some_and(|serving| serving.id == kept.id || !is_service && same_id(serving))
        };
        for left in self.releases().await?.into_iter().filter(|kept| !serves(kept)) {
            engine.discard(&left.id).await?;
        }
        let image = image::pull(self, &release.published).await?;
        let slot = self.slot_that_serves().await?.map_or(Slot::Blue, Slot::other);
        let spec = self.service(&id, release.version(), slot, image, self.variables(release.version(), settings)?);
        let container = engine.make(&spec).await?;
        let mut candidate =
            Candidate::new(engine.clone(), container, slot, spec, self.service_at(self.target.port).await?);
        engine.begin(&candidate.container).await?;
        let kept = self.services().await?.into_iter().find(|kept| kept.id == candidate.container);
        match kept.filter(|kept| !kept.ports.is_empty()) {
            Some(kept) => candidate.service = self.service_of(&kept).await?,
            // It has no port any more.
            None => return Err(anyhow!(candidate.exited().await).into()),
        }
        Ok(candidate)
    }

    /// Has the proxy send requests to the release. The public address is asked before the old release is told to end; until then
    /// everything can be undone, and is, when this fails or a stop is requested.
    pub async fn switch(&self, mut candidate: Candidate, step: &Ongoing, stop: &Stop) -> Result<Switched, Failure> {
        let engine = self.engine().await?;
        let before = self.slot_that_serves().await?;
        let worker = match self.start_worker(&candidate).await {
            Ok(worker) => worker,
            Err(failure) => {
                // Here and not when it is dropped: that would hold up the other hosts.
                candidate.give_up().await;
                return Err(failure.into());
            }
        };
        step.progress("the proxy takes it");
        // Not interrupted: a half of it could be done after it was undone.
        let took = async {
            for container in std::iter::once(&candidate.container).chain(&worker) {
                engine.keep_up(container).await?;
            }
            self.send_to(Some(candidate.slot)).await
        };
        let asked = match took.await {
            Ok(()) => {
                let asked = async { Ok(self.ask_in_public(candidate.version()).await?) };
                Box::pin(stop.cancels("the previous release serves on", asked)).await
            }
            Err(error) => Err(error.into()),
        };
        let readiness = match asked {
            Ok(readiness) => readiness,
            Err(failure) => {
                let undone = self.send_to(before).await;
                // The connection may have been cut, so this one may be another.
                let engine = self.engine().await?;
                if let Some(worker) = &worker {
                    engine.discard(worker).await?;
                }
                undone.context("have the proxy send requests to the previous release again")?;
                candidate.engine = engine;
                candidate.give_up().await;
                return Err(failure);
            }
        };
        candidate.serves = true;
        // It serves: what fails from here on is no reason to go back.
        if let Err(failure) = self.end_others(before, &candidate, worker.as_ref(), step).await {
            let error = failure.into_error();
            self.env.report.warn(&format!(
                "{} serves, and a container of the previous release may be left, which the next deploy removes: {error:#}",
                candidate.version()
            ));
        }
        Ok(Switched { address: self.address(), readiness, watched: None })
    }

    /// What the engine says of the container that has just taken over.
    pub async fn condition(&self) -> Condition {
        let asked = async {
            let Some(container) = self.container_that_serves().await? else { return Ok(None) };
            Ok::<_, Failure>(self.engine().await?.restarts(&container.id).await?)
        };
        match asked.await {
            Ok(Some(0)) => Condition::Ready,
            Ok(Some(times)) => Condition::Error(format!("its container has ended and was started again {times} times")),
            Ok(None) => Condition::Error("its container does not run".to_owned()),
            Err(failure) => Condition::NotAsked(format!("{:#}", failure.into_error())),
        }
    }

    /// Stops every container of the environment. They and all data are kept.
    pub async fn stop(&self) -> Result<Vec<String>, Failure> {
        let engine = self.engine().await?;
        let mut stopped = Vec::new();
        // The proxy last: it holds requests that the service finishes.
        let mut all = self.all_but_the_proxy().await?;
        all.extend(self.proxies().await?);
        for container in all.into_iter().filter(|container| container.is_running) {
            engine.end(&container.id, DRAIN).await?;
            stopped.push(container.name);
        }
        Ok(stopped)
    }

    /// Asks at the public port, where the proxy answers.
    async fn ask_in_public(&self, version: &str) -> Result<Readiness> {
        match self.service_at(self.target.port).await?.ask().await {
            Answer::Ready(readiness) if readiness.version == version => Ok(readiness),
            other => Err(anyhow!("{} does not answer as {version}: {}", self.address(), other.describe())),
        }
    }

    /// Ends and removes the other containers of releases, when the requests of the slot that served before are finished.
    async fn end_others(
        &self,
        before: Option<Slot>,
        candidate: &Candidate,
        worker: Option<&String>,
        step: &Ongoing,
    ) -> Result<(), Failure> {
        let engine = self.engine().await?;
        step.progress("the previous release finishes its requests");
        if let Some(slot) = before {
            tokio::time::sleep(SETTLE).await;
            let deadline = Instant::now() + FINISH;
            while Instant::now() < deadline && self.in_progress(slot).await? > 0 {
                tokio::time::sleep(LOOK).await;
            }
        }
        let mut old = self.releases().await?;
        old.retain(|old| old.id != candidate.container && worker != Some(&old.id));
        let end = async |old: &Kept| {
            engine.end(&old.id, DRAIN).await?;
            engine.discard(&old.id).await
        };
        try_join_all(old.iter().map(end)).await?;
        Ok(())
    }

    /// The host's engine.
    async fn engine(&self) -> Result<Engine> {
        Box::pin(self.machine.engine()).await
    }

    async fn service_of(&self, container: &Kept) -> Result<Service> {
        let port = container.ports.get(&containers::INSIDE).copied();
        self.service_at(port.with_context(|| format!("the container {} publishes no port", container.name))?).await
    }

    /// The service at a port of the host's loopback address.
    async fn service_at(&self, port: u16) -> Result<Service> {
        let port = match &self.machine.remote {
            Some(remote) => remote.forward_port(port).await?,
            None => port,
        };
        Service::new(format!("http://127.0.0.1:{port}{}", self.env.config.service.readiness))
    }
}
