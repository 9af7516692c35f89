//! Where a release runs. One verb, one match: what differs between the targets is below, and nothing else.

mod candidate;
pub mod condition;
#[cfg(feature = "cloud")]
mod docker;
#[cfg(feature = "cloud")]
pub mod easypanel;
#[cfg(feature = "cloud")]
pub mod host;
pub mod local;
mod log;
#[cfg(not(feature = "cloud"))]
mod no_easypanel;
#[cfg(not(feature = "cloud"))]
mod no_host;
#[cfg(not(feature = "cloud"))]
mod no_stack;
mod serving;
#[cfg(feature = "cloud")]
pub mod stack;

use anyhow::{Result, anyhow};
use jiff::Timestamp;

pub use self::candidate::{Candidate, Started};
use self::condition::Condition;
pub use self::easypanel::Panel;
pub use self::host::Fleet;
pub use self::local::{Development, Local};
pub(crate) use self::log::log_tail;
#[cfg(not(feature = "cloud"))]
use self::no_easypanel as easypanel;
#[cfg(not(feature = "cloud"))]
use self::no_host as host;
#[cfg(not(feature = "cloud"))]
use self::no_stack as stack;
pub use self::serving::{Serving, Switched, Watched};
pub use self::stack::{Log, Planned, Stack};
use crate::check::Check;
use crate::clients::service::Service;
use crate::config;
use crate::env::Env;
use crate::failure::Failure;
use crate::release::{Artifact, MediaSettings, Provenance, Published, Release, Settings, Source};
use crate::report::Ongoing;
use crate::signals::Stop;
use crate::state::history::Record;
use crate::tools::postgres::Throwaway;

/// Where an environment's release runs.
pub enum Target<'a> {
    /// A supervised process on this machine.
    Local(Box<Local<'a>>),
    /// What an OpenTofu stack makes.
    Stack(Box<Stack<'a>>),
    /// Containers of Docker hosts, behind a proxy on each.
    Host(Box<Fleet<'a>>),
    /// Services of an Easypanel.
    Easypanel(Box<Panel<'a>>),
}

impl<'a> Target<'a> {
    /// The target of an environment.
    pub fn of(env: &'a Env<'a>) -> Self {
        match &env.environment.target {
            config::Target::Local(target) => Self::Local(Box::new(Local::new(env, target))),
            config::Target::Compose(target) => match &target.proxy {
                Some(proxy) => Self::Host(Box::new(Fleet::new(env, target, proxy))),
                // Only the image is made; Docker Compose starts it.
                None => Self::Stack(Box::new(Stack::new(env))),
            },
            config::Target::Easypanel(target) => Self::Easypanel(Box::new(Panel::new(env, target))),
            config::Target::Scaleway(_) | config::Target::Media(_) => Self::Stack(Box::new(Stack::new(env))),
        }
    }

    /// Every check of the target. None changes anything.
    pub async fn checks(&self) -> Result<Vec<Check>, Failure> {
        match self {
            Self::Local(local) => Ok(local.checks().await),
            Self::Stack(stack) => Box::pin(stack.checks()).await,
            Self::Host(host) => Box::pin(host.checks()).await,
            Self::Easypanel(panel) => Box::pin(panel.checks()).await,
        }
    }

    /// What the target needs and does not create, and what makes and keeps its images. None of these checks changes anything.
    pub async fn prerequisites(&self) -> Result<Vec<Check>, Failure> {
        match self {
            Self::Local(_) | Self::Host(_) => Ok(Vec::new()),
            Self::Stack(stack) => Box::pin(stack.prerequisites()).await,
            Self::Easypanel(panel) => Box::pin(panel.prerequisites()).await,
        }
    }

    /// Database, settings and secrets: made where they are missing, started where they do not run. `media` is what their stack gives.
    pub async fn provision(&self, media: &MediaSettings, step: &Ongoing) -> Result<Settings, Failure> {
        match self {
            Self::Local(local) => Ok(local.provision(step).await?),
            Self::Stack(stack) => stack.provision(media).await,
            Self::Host(host) => Box::pin(host.provision(media, step)).await,
            Self::Easypanel(panel) => panel.provision().await,
        }
    }

    /// The release that serves, if one does.
    pub async fn serving(&self) -> Result<Option<Serving>, Failure> {
        match self {
            Self::Local(local) => Ok(local.serving().await?),
            Self::Stack(stack) => Box::pin(stack.serving()).await,
            Self::Host(host) => Box::pin(host.serving()).await,
            Self::Easypanel(panel) => Box::pin(panel.serving()).await,
        }
    }

    /// Whether the release that serves runs as a deploy of now would have it run: on this machine by its user, at Easypanel by what the panel
    /// is set to.
    pub async fn serves_as_now(&self, live: &Record, settings: &Settings) -> Result<bool, Failure> {
        match self {
            Self::Local(local) => Ok(local.serves_as_now().await?),
            Self::Stack(_) | Self::Host(_) => Ok(true),
            Self::Easypanel(panel) => Box::pin(panel.serves_as_now(live, settings)).await,
        }
    }

    /// Builds the source.
    pub async fn build(&self, source: &Source, step: &Ongoing) -> Result<Artifact, Failure> {
        match self {
            Self::Local(local) => Ok(local.build(source, step).await?),
            Self::Stack(stack) => Box::pin(stack.build(source, step)).await,
            Self::Host(host) => Box::pin(host.build(source, step)).await,
            Self::Easypanel(panel) => Box::pin(panel.build(source, step)).await,
        }
    }

    /// Whether the artifact is still there, unchanged.
    pub async fn has_built(&self, artifact: &Artifact) -> bool {
        match self {
            Self::Local(local) => local.has_built(artifact).await,
            Self::Stack(stack) => Box::pin(stack.has_built(artifact)).await,
            Self::Host(host) => Box::pin(host.has_built(artifact)).await,
            Self::Easypanel(panel) => Box::pin(panel.has_built(artifact)).await,
        }
    }

    /// Puts an artifact where the target takes it from.
    pub async fn publish(&self, artifact: &Artifact, step: &Ongoing) -> Result<Published, Failure> {
        match self {
            Self::Local(local) => Ok(local.publish(artifact, step).await?),
            Self::Stack(stack) => Box::pin(stack.publish(artifact, step)).await,
            Self::Host(host) => Box::pin(host.publish(artifact, step)).await,
            Self::Easypanel(panel) => Box::pin(panel.publish(artifact, step)).await,
        }
    }

    /// Verifies that the workflow that deploy.yaml allows has built what was published. Refused otherwise. None where it requires no
    /// proof.
    pub async fn verify(&self, published: &Published) -> Result<Option<Provenance>, Failure> {
        match self {
            Self::Local(_) | Self::Host(_) | Self::Easypanel(_) => Ok(None),
            Self::Stack(stack) => Box::pin(stack.verify_build(published)).await,
        }
    }

    /// Whether what was published is still there, unchanged.
    pub async fn has_published(&self, published: &Published) -> bool {
        match self {
            Self::Local(local) => local.has_published(published).await,
            Self::Stack(stack) => stack.has_published(published).await,
            Self::Host(host) => Box::pin(host.has_published(published)).await,
            Self::Easypanel(panel) => panel.has_published(published).await,
        }
    }

    /// Signs a complete record of a release that went live, where others than those who deploy may write records.
    pub async fn sign(&self, record: &mut Record) -> Result<(), Failure> {
        match self {
            Self::Local(_) | Self::Host(_) | Self::Easypanel(_) => Ok(()),
            Self::Stack(stack) => stack.sign(record).await,
        }
    }

    /// What an earlier deploy published, if it is kept.
    pub async fn published(&self, record: &Record) -> Result<Published, Failure> {
        match self {
            Self::Local(local) => Ok(local.published(record).await?),
            Self::Stack(stack) => Box::pin(stack.published(record)).await,
            Self::Host(host) => Box::pin(host.published(record)).await,
            Self::Easypanel(panel) => Box::pin(panel.published(record)).await,
        }
    }

    /// Fails unless deploy.yaml says what a release of the environment runs on.
    pub fn runs_the_service(&self) -> Result<(), Failure> {
        match self {
            Self::Local(_) => Ok(()),
            Self::Stack(stack) => stack.runs_the_service(),
            Self::Host(host) => host.runs_the_service(),
            Self::Easypanel(panel) => panel.runs_the_service(),
        }
    }

    /// Whether applying a release takes the place of the one that serves, before it is known to be ready.
    pub fn takes_the_place(&self) -> bool {
        matches!(self, Self::Stack(_) | Self::Easypanel(_))
    }

    /// Whether the release runs on a stack: then OpenTofu's plan says what a deploy changes, and applying it replaces the release
    /// that serves.
    pub fn has_stack(&self) -> bool {
        matches!(self, Self::Stack(_))
    }

    /// Whether a release is an image, which is built from a commit: then this machine needs none of the programs of a build.
    pub fn runs_images(&self) -> bool {
        match self {
            Self::Local(local) => local.runs_images(),
            Self::Stack(_) | Self::Host(_) | Self::Easypanel(_) => true,
        }
    }

    /// What would change around the release; none where nothing but the release changes. `approved` asks for the kept plan that
    /// has this approval. Ends in order when a stop is requested.
    pub async fn plan(
        &self,
        release: &Release,
        settings: &Settings,
        approved: Option<&str>,
        step: &Ongoing,
        stop: &Stop,
    ) -> Result<Option<Planned>, Failure> {
        match self {
            Self::Local(_) | Self::Host(_) | Self::Easypanel(_) => Ok(None),
            Self::Stack(stack) => Ok(Some(Box::pin(stack.plan(release, settings, approved, step, stop)).await?)),
        }
    }

    /// Brings the release up: on this machine and on a Docker host beside the one that serves, on a stack and at Easypanel in its place. `id` is its record's. Ends in order when a stop is requested.
    pub async fn apply(
        &self,
        id: String,
        release: &Release,
        settings: &Settings,
        plan: Option<&Planned>,
        step: &Ongoing,
        stop: &Stop,
    ) -> Result<Candidate, Failure> {
        match (self, plan) {
            (Self::Local(local), _) => {
                let apply = local.apply(id, &release.published, settings);
                Ok(Candidate::Local(Box::new(stop.cancels("nothing was changed", apply).await?)))
            }
            (Self::Host(host), _) => {
                let apply = Box::pin(host.apply(id, release, settings));
                Ok(Candidate::Host(Box::new(stop.cancels("nothing was changed", apply).await?)))
            }
            (Self::Easypanel(panel), _) => {
                Ok(Candidate::Easypanel(Box::new(Box::pin(panel.apply(release, settings, step, stop)).await?)))
            }
            (Self::Stack(stack), Some(plan)) => {
                Ok(Candidate::Stack(Box::new(Box::pin(stack.apply(release, plan, step, stop)).await?)))
            }
            (Self::Stack(stack), None) => Err(stack.unsupported("applying a release without a plan")),
        }
    }

    /// Why no release can be tried on another database; none if one can.
    pub async fn cannot_try(&self) -> Result<Option<String>, Failure> {
        match self {
            Self::Local(local) => Ok(local.cannot_try()?),
            Self::Stack(stack) => Box::pin(stack.cannot_try()).await,
            // Its engine may be on another machine, without the temporary database.
            Self::Host(_) => Ok(Some("a release of a Docker host is not started on a temporary database".to_owned())),
            Self::Easypanel(_) => Ok(Some("a release at Easypanel is not started on a temporary database".to_owned())),
        }
    }

    /// Starts a release on a database that is thrown away, to see whether it can. It never serves.
    pub async fn try_on(
        &self,
        id: String,
        release: &Release,
        settings: &Settings,
        database: &Throwaway,
    ) -> Result<Candidate, Failure> {
        match self {
            Self::Local(local) => {
                let started = local.try_on(id, &release.published, settings, database).await?;
                Ok(Candidate::Local(Box::new(started)))
            }
            Self::Stack(stack) => {
                Ok(Candidate::Trial(Box::new(Box::pin(stack.try_on(release, settings, database)).await?)))
            }
            Self::Host(_) | Self::Easypanel(_) => Err(anyhow!("a release of this target cannot be tried").into()),
        }
    }

    /// Lets the release take over. The public address is asked before the old release is told to drain; until then
    /// everything can be undone, and is, when this fails or a stop is requested.
    pub async fn switch(&self, candidate: Candidate, step: &Ongoing, stop: &Stop) -> Result<Switched, Failure> {
        match (self, candidate) {
            (Self::Local(local), Candidate::Local(candidate)) => local.switch(*candidate, step, stop).await,
            (Self::Stack(stack), Candidate::Stack(candidate)) => stack.switch(*candidate).await,
            (Self::Host(host), Candidate::Host(candidate)) => Box::pin(host.switch(*candidate, step, stop)).await,
            (Self::Easypanel(panel), Candidate::Easypanel(candidate)) => panel.switch(*candidate).await,
            (Self::Local(_) | Self::Stack(_) | Self::Host(_) | Self::Easypanel(_), _) => {
                unreachable!("a target is given its own candidate")
            }
        }
    }

    /// Where the readiness of a release that has taken over is asked for.
    pub async fn services(&self, switched: &Switched) -> Result<Vec<Service>, Failure> {
        match (&switched.watched, self) {
            (Some(watched), _) => Ok(watched.services.clone()),
            (None, Self::Host(fleet)) => Box::pin(fleet.services()).await,
            (None, Self::Easypanel(panel)) => Ok(vec![panel.service()?]),
            (None, _) => Ok(self.serving().await?.map(|serving| serving.service).into_iter().collect()),
        }
    }

    /// What the platform says of a release that has taken over; on this machine the supervisor, which starts again what has ended.
    pub async fn condition(&self, switched: &Switched) -> Condition {
        match (self, &switched.watched) {
            (_, Some(watched)) => watched.platform.condition().await,
            (Self::Local(local), None) => local.condition().await,
            (Self::Host(host), None) => Box::pin(host.condition()).await,
            (Self::Easypanel(panel), None) => Box::pin(panel.condition()).await,
            (Self::Stack(_), None) => Condition::NotAsked("it is not known which container runs it".to_owned()),
        }
    }

    /// The platform's id of what runs a release, once this process has applied one; none on this machine.
    pub fn container(&self) -> Option<String> {
        match self {
            Self::Local(_) | Self::Host(_) | Self::Easypanel(_) => None,
            Self::Stack(stack) => stack.container(),
        }
    }

    /// What this version has logged since a time, as far as that is kept where the toolkit can read it.
    pub async fn log_of(&self, version: &str, since: Timestamp) -> Result<Vec<String>, Failure> {
        match self {
            Self::Local(local) => Ok(local.log_of(version)?),
            Self::Stack(stack) => Box::pin(stack.log_of(version, since)).await,
            Self::Host(host) => Box::pin(host.log_of(version, since)).await,
            // The panel keeps it.
            Self::Easypanel(_) => Ok(Vec::new()),
        }
    }

    /// What a person wants to know of the target after a deploy of this version: label and text.
    pub fn hints(&self, version: &str) -> Vec<(&'static str, String)> {
        match self {
            Self::Local(local) => local.hints(version),
            Self::Stack(_) | Self::Host(_) | Self::Easypanel(_) => Vec::new(),
        }
    }

    /// The command that shows the link to the page for the first account, if this version has one and there is no account yet.
    pub async fn first_visit(&self, version: &str) -> Result<Option<String>> {
        match self {
            Self::Local(local) => local.first_visit(version).await,
            // Its secrets are where the user keeps them.
            Self::Stack(_) | Self::Host(_) | Self::Easypanel(_) => Ok(None),
        }
    }

    /// Removes the releases that nothing can go back to any more. `records` are all of the environment's.
    pub async fn prune(&self, records: &[Record]) -> Result<()> {
        match self {
            Self::Local(local) => local.prune(records).await,
            // Its images are removed by `image prune`.
            Self::Stack(_) | Self::Easypanel(_) => Ok(()),
            Self::Host(host) => Box::pin(host.prune(records)).await,
        }
    }

    /// The target of an environment that is on this machine. Fails for others.
    pub fn local(&self, what: &str) -> Result<&Local<'a>, Failure> {
        match self {
            Self::Local(local) => Ok(local),
            Self::Stack(stack) => Err(stack.unsupported(what)),
            Self::Host(_) | Self::Easypanel(_) => {
                Err(Failure::Usage(anyhow!("{what} works with `target: local` only")))
            }
        }
    }
}
