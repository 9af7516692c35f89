//! Services of an Easypanel: a deploy gives them another image and other variables, and the panel replaces their containers.

mod candidate;
mod checks;
mod engine;
mod variables;

use std::cell::RefCell;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use tokio::sync::OnceCell;

pub use self::candidate::Candidate;
use self::candidate::Containers;
use super::condition::Condition;
use super::docker::Machine;
use super::host::settings::{resolved, variables as of_release};
use super::stack::image;
use super::{Serving, Switched};
use crate::check::Check;
use crate::clients::easypanel::{App, Easypanel, Inspected, PanelError};
use crate::clients::service::{Answer, Service};
use crate::config;
use crate::env::Env;
use crate::failure::Failure;
use crate::image::{ServiceImage, check};
use crate::needs::EASYPANEL_TOKEN;
use crate::release::{Artifact, Published, Release, Settings, Source};
use crate::report::Ongoing;
use crate::signals::Stop;
use crate::state::fingerprint;
use crate::state::history::{self, Record};
use crate::tools::ssh::Remote;

/// The services of an environment.
pub struct Panel<'a> {
    env: &'a Env<'a>,
    target: &'a config::Easypanel,
    /// The one on which the panel runs its services, where deploy.yaml names it.
    machine: Option<Machine>,
    api: OnceCell<Arc<Easypanel>>,
    /// Those of the release that this process has applied.
    applied: RefCell<Option<Arc<Containers>>>,
}

/// A service before it is changed.
struct Prepared {
    app: App,
    before: Inspected,
    /// What its variables become.
    env: String,
    /// The ids of its containers.
    containers: Vec<String>,
}

impl Prepared {
    /// Whether the panel is set to this image and to these variables already.
    fn is_set_to(&self, image: &str) -> bool {
        let lines = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
        self.before.image() == Some(image) && self.before.env.as_deref().map(lines) == Some(lines(&self.env))
    }
}

impl<'a> Panel<'a> {
    /// The target of an environment.
    pub fn new(env: &'a Env<'a>, target: &'a config::Easypanel) -> Self {
        let machine = target.host.as_ref().map(|host| match host {
            config::EngineHost::Socket(address) => Machine::with_engine_at(address.clone()),
            config::EngineHost::Remote(host) => Machine::new(Some(Remote::new(host.clone()))),
        });
        Self { env, target, machine, api: OnceCell::new(), applied: RefCell::default() }
    }

    /// Every check of the panel. None changes anything.
    pub async fn checks(&self) -> Result<Vec<Check>, Failure> {
        Ok(checks::checks(self).await)
    }

    /// What builds and keeps the image, and what `logs` and `run` take. None of these checks changes anything.
    pub async fn prerequisites(&self) -> Result<Vec<Check>, Failure> {
        let mut checks = match &self.env.config.image {
            Some(_) => check::checks(&ServiceImage::find(self.env)?).await,
            None => Vec::new(),
        };
        checks.extend(self.engine_checks().await);
        Ok(checks)
    }

    /// Fails unless deploy.yaml has an image.
    pub fn runs_the_service(&self) -> Result<(), Failure> {
        ServiceImage::find(self.env).map(drop)
    }

    /// The settings, with fingerprints of the secrets.
    pub async fn provision(&self) -> Result<Settings, Failure> {
        let settings = resolved(self.env, None)?;
        let key = Box::pin(fingerprint::key(self.env.store()?)).await?;
        Ok(settings.fingerprinted(&key, &self.env.store_prefix()))
    }

    /// The release that was deployed last. It need not answer any more.
    pub async fn serving(&self) -> Result<Option<Serving>, Failure> {
        let Some(record) = history::live(self.env.store()?).await? else { return Ok(None) };
        let (version, address) = (record.version().to_owned(), self.target.address.clone());
        Ok(Some(Serving { id: record.id, version, address, service: self.service()? }))
    }

    /// Whether the panel is set to a record's release with these settings, and runs nothing else.
    pub async fn serves_as_now(&self, live: &Record, settings: &Settings) -> Result<bool, Failure> {
        let image = image::of_record(self.env, live)?.image().context("an Easypanel runs images")?;
        let prepared = self.prepare(live.version(), settings).await?;
        let is_set = prepared.iter().all(|service| service.is_set_to(&image));
        Ok(is_set && !matches!(self.seen(live).await, Condition::Other(_) | Condition::Error(_)))
    }

    /// Builds the commit's image, unless the registry or the Docker engine has it.
    pub async fn build(&self, source: &Source, step: &Ongoing) -> Result<Artifact, Failure> {
        image::build(self.env, source, step).await
    }

    /// Whether the registry or the Docker engine still has the image.
    pub async fn has_built(&self, artifact: &Artifact) -> bool {
        image::has_built(self.env, artifact).await
    }

    /// Pushes the image, unless the registry has it.
    pub async fn publish(&self, artifact: &Artifact, step: &Ongoing) -> Result<Published, Failure> {
        image::publish(self.env, artifact, step).await
    }

    /// Whether the registry still has the image.
    pub async fn has_published(&self, published: &Published) -> bool {
        image::has_published(self.env, published).await
    }

    /// The image of an earlier deploy. Refused if the registry no longer has it.
    pub async fn published(&self, record: &Record) -> Result<Published, Failure> {
        image::published(self.env, record).await
    }

    /// Gives every service the release's image and variables, and has the panel deploy them, one after the other. A deploy whose end the
    /// panel does not tell is left to the gate. A request to stop ends the wait at once, and what the panel was told stays.
    pub async fn apply(
        &self,
        release: &Release,
        settings: &Settings,
        step: &Ongoing,
        stop: &Stop,
    ) -> Result<Candidate, Failure> {
        let (image, version) = (release.published.image().context("an Easypanel runs images")?, release.version());
        let prepare = async { Ok((self.prepare(version, settings).await?, Arc::clone(self.api().await?))) };
        let prepared = stop.cancels("nothing was changed", Box::pin(prepare)).await;
        let (prepared, api) = prepared.map_err(Failure::untouched)?;
        let left = format!("the panel may have image and variables of {version}, and deploys them when it is told to");
        stop.cancels(&left, Box::pin(set(&api, &prepared, &image, step))).await?;
        let left = format!("the panel has image and variables of {version}, and goes on with what it deploys");
        let unsure = stop.cancels(&left, Box::pin(self.deploy(&api, &prepared, step))).await?;
        let mut before = Vec::new();
        let apps = prepared.into_iter().map(|service| {
            before.extend(service.containers);
            service.app
        });
        let apps = apps.collect();
        let containers = Arc::new(Containers { api, apps, digest: release.published.digest.clone(), before });
        self.applied.replace(Some(Arc::clone(&containers)));
        Ok(Candidate { service: self.service()?, containers, unsure, place: self.place() })
    }

    /// Has the panel deploy what each service is set to. What is not known of a deploy whose end it did not tell.
    async fn deploy(&self, api: &Easypanel, prepared: &[Prepared], step: &Ongoing) -> Result<Option<String>, Failure> {
        let mut unsure = None;
        for Prepared { app, .. } in prepared {
            step.progress(&format!("the panel deploys {}", app.service));
            match api.deploy(app).await {
                Ok(()) => {}
                Err(error @ PanelError::Away { .. }) => {
                    let what = format!("what became of the deploy of {} is not known: {error}", app.service);
                    self.env.report.note(&format!("{what}; the service itself is asked"));
                    unsure = Some(what);
                }
                Err(error) => return Err(anyhow::Error::from(error).into()),
            }
        }
        Ok(unsure)
    }

    /// Checks that the release still answers, ready, where people reach it. The panel has switched to it already.
    pub async fn switch(&self, candidate: Candidate) -> Result<Switched, Failure> {
        let address = self.target.address.clone();
        match candidate.service.ask().await {
            Answer::Ready(readiness) => Ok(Switched { address, readiness, watched: None }),
            other => Err(anyhow!("{address} was ready, and is not any more: {}", other.describe()).into()),
        }
    }

    /// What the panel says of the containers of the release that this process has applied.
    pub async fn condition(&self) -> Condition {
        let applied = self.applied.borrow().clone();
        match applied {
            Some(containers) => containers.condition().await,
            None => Condition::NotAsked("it is not known which image it was given".to_owned()),
        }
    }

    /// What the panel says of the containers of a record's release.
    pub async fn seen(&self, record: &Record) -> Condition {
        let asked = async {
            let digest = record.digest.clone().context("the record names no image")?;
            let api = Arc::clone(self.api().await?);
            anyhow::Ok(Containers { api, apps: self.apps().collect(), digest, before: Vec::new() })
        };
        match asked.await {
            Ok(containers) => containers.condition().await,
            Err(error) => Condition::NotAsked(format!("{error:#}")),
        }
    }

    /// Where readiness is asked for: where people reach the service.
    pub fn service(&self) -> Result<Service> {
        Service::new(format!("{}{}", self.target.address, self.env.config.service.readiness))
    }

    /// Every service, and what its variables become with these settings.
    async fn prepare(&self, version: &str, settings: &Settings) -> Result<Vec<Prepared>> {
        let values = of_release(self.env, version, settings)?;
        let table = crate::settings::table(self.env)?;
        let declared: Vec<&str> = table.settings.iter().map(|setting| setting.name.as_str()).collect();
        let mut prepared = Vec::new();
        for app in self.apps() {
            let api = self.api().await?;
            let before = api.inspect(&app).await?;
            let containers = match api.containers(&app).await {
                Ok(containers) => containers.into_iter().map(|container| container.id).collect(),
                // The only service answers for itself.
                Err(_) if self.target.services.len() == 1 => Vec::new(),
                Err(error) => return Err(error.into()),
            };
            let env = variables::merged(before.env.as_deref().unwrap_or_default(), &declared, &values);
            prepared.push(Prepared { app, before, env, containers });
        }
        Ok(prepared)
    }

    fn apps(&self) -> impl Iterator<Item = App> {
        let app = |service: &String| App { project: self.target.project.clone(), service: service.clone() };
        self.target.services.iter().map(app)
    }

    /// The panel's page of the first service, for people.
    fn place(&self) -> String {
        let config::Easypanel { panel, project, services, .. } = self.target;
        format!("{panel}, project {project}, service {}", services[0])
    }

    /// The panel.
    async fn api(&self) -> Result<&Arc<Easypanel>> {
        let connect = async || {
            let token = self.env.secret(EASYPANEL_TOKEN)?.with_context(|| {
                let name = self.env.name();
                format!("{EASYPANEL_TOKEN} has no value: put a token of the panel's API into .env.{name} (mode 0600)")
            })?;
            let longest = self.env.environment.gate.timeout;
            let api = Easypanel::connect(&self.target.panel, &token, &self.env.patience, longest).await?;
            anyhow::Ok(Arc::new(api))
        };
        self.api.get_or_try_init(connect).await
    }
}

/// Gives every service the image and its variables. What fails before the first one has them has changed nothing.
async fn set(api: &Easypanel, prepared: &[Prepared], image: &str, step: &Ongoing) -> Result<(), Failure> {
    for (place, Prepared { app, before, env, .. }) in prepared.iter().enumerate() {
        step.progress(&format!("the image and the variables of {}", app.service));
        api.set_env(app, env, before).await.map_err(|error| {
            let is_refused = place == 0 && !matches!(error, PanelError::Away { .. });
            let failure = Failure::from(anyhow::Error::from(error));
            if is_refused { failure.untouched() } else { failure }
        })?;
        api.set_image(app, image, before).await.map_err(anyhow::Error::from)?;
    }
    Ok(())
}
