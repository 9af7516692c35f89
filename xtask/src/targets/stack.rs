//! An OpenTofu stack: a container that runs the service's image, and what belongs to it.

mod address;
mod checks;
mod drift;
pub(super) mod image;
mod job;
mod log;
mod outputs;
mod platform;
mod seen;
pub(super) mod settings;
mod signed;
mod trial;

use std::cell::RefCell;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use jiff::Timestamp;
use tokio::sync::OnceCell;

use self::address::Names;
pub use self::address::PublicAddress;
pub use self::checks::of_media;
pub use self::drift::Drift;
pub use self::job::{Ended, Inputs, Job, Leftovers, Place};
pub use self::log::Log;
use self::outputs::Outputs;
pub use self::platform::Platform;
pub use self::seen::Seen;
pub use self::trial::Trial;
use super::{Serving, Switched, Watched};
use crate::bootstrap;
use crate::check::Check;
use crate::clients::dns;
use crate::clients::service::{Answer, Service};
use crate::config::Target;
use crate::env::Env;
use crate::failure::Failure;
use crate::image::pushed::pushed;
use crate::image::{self as images, ServiceImage};
use crate::release::{Artifact, MediaSettings, Provenance, Published, Release, Settings, Source};
use crate::report::{Ongoing, Summary as _};
use crate::secrets::FingerprintKey;
use crate::signals::Stop;
use crate::state::history::{self, Record};
use crate::state::lease;
pub use crate::tofu::plan::{Planned, Purpose};
use crate::tofu::unseen::{Unseen, Verdict};
use crate::tofu::variables::ReleaseVariables;
use crate::tofu::{self, Initialized, Workspace};
use crate::tools::platform::variable;

/// An environment whose release runs on a stack.
pub struct Stack<'a> {
    env: &'a Env<'a>,
    /// The container's id, once this process has applied a release.
    container: RefCell<Option<String>>,
    /// Derived once.
    key: OnceCell<FingerprintKey>,
}

/// A release that was applied to a stack.
pub struct Candidate {
    /// Where its readiness is asked for: at the container's own address.
    pub service: Service,
    /// What the platform says of its container.
    pub platform: Arc<Platform>,
    /// Where people reach it, if that is another address.
    pub public: Option<PublicAddress>,
    /// The container's own address.
    endpoint: String,
    /// What was applied.
    pub summary: String,
}

impl<'a> Stack<'a> {
    /// The target of an environment.
    pub fn new(env: &'a Env<'a>) -> Self {
        Self { env, container: RefCell::default(), key: OnceCell::new() }
    }

    /// Every check of the stack. None changes anything.
    pub async fn checks(&self) -> Result<Vec<Check>, Failure> {
        checks::checks(self.env).await
    }

    /// Doctor's checks of the zone, the registry, the builder, the registry's credentials, and what a deploy does not take. None
    /// changes anything.
    pub async fn prerequisites(&self) -> Result<Vec<Check>, Failure> {
        if let Target::Media(_) = self.env.environment.target {
            return Ok(checks::of_doctor(self.env).await);
        }
        let of_image = async {
            match &self.env.config.image {
                Some(_) => Ok(images::check::checks(&ServiceImage::find(self.env)?).await),
                None => Ok(Vec::new()),
            }
        };
        let further = async { Ok(checks::of_doctor(self.env).await) };
        let (bootstrapped, of_image, further) =
            tokio::try_join!(Box::pin(bootstrap::checks(self.env)), Box::pin(of_image), Box::pin(further))?;
        Ok([bootstrapped, of_image, further].concat())
    }

    /// Fails unless deploy.yaml has what a deploy takes: an image, and a stack that gets it.
    pub fn runs_the_service(&self) -> Result<(), Failure> {
        let (env, name) = (self.env, self.env.name());
        let Some(missing) = env.config.lacks_for_a_stack(env.environment) else { return Ok(()) };
        Err(Failure::Usage(anyhow!(
            "deploy.yaml: {missing}\n  single steps for {name}: cargo xtask image push {name}, cargo xtask tofu plan {name}"
        )))
    }

    /// What the stack of the media gives now.
    pub async fn media(&self) -> Result<MediaSettings, Failure> {
        settings::media(self.env).await
    }

    /// The service's settings. The stack may add more.
    pub fn settings(&self, media: &MediaSettings) -> Result<Settings, Failure> {
        Ok(settings::resolve(self.env, Some(media))?.settings)
    }

    /// The same with fingerprints of the secrets, for a record.
    pub async fn provision(&self, media: &MediaSettings) -> Result<Settings, Failure> {
        let (env, settings) = (self.env, self.settings(media)?);
        Ok(settings.fingerprinted(self.key().await?, &env.store_prefix()))
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

    /// Checks that the workflow that deploy.yaml allows has built the image. None where it requires no proof.
    pub async fn verify_build(&self, published: &Published) -> Result<Option<Provenance>, Failure> {
        image::verify(self.env, published).await
    }

    /// Whether the registry still has the image, with the signature that it is the one of its source.
    pub async fn has_published(&self, published: &Published) -> bool {
        image::is_of_source(self.env, published).await
    }

    /// The image of a commit by its digest, as the registry has it, or the one with the digest `given`. Refused if it was not
    /// pushed, or is not signed.
    pub async fn pushed_image(&self, source: &Source, given: Option<&str>) -> Result<String, Failure> {
        pushed(self.env, source, given).await
    }

    /// The release that was deployed last, at the address where it went live. It need not answer there any more.
    pub async fn serving(&self) -> Result<Option<Serving>, Failure> {
        let live = history::live(self.env.store()?).await?;
        let Some(record) = live else { return Ok(None) };
        let Some(address) = record.address.clone() else { return Ok(None) };
        let service = self.service(&address)?;
        Ok(Some(Serving { id: record.id.clone(), version: record.version().to_owned(), address, service }))
    }

    /// The image that an earlier deploy pushed. Refused if the registry no longer has it, or if the record is not signed.
    pub async fn published(&self, record: &Record) -> Result<Published, Failure> {
        self.verify(record).await?;
        image::published(self.env, record).await
    }

    /// Initializes OpenTofu's working folder for the stack of a source that is checked out, unless it is.
    pub async fn initialize(&self, source: &Source, step: &Ongoing, stop: &Stop) -> Result<Initialized, Failure> {
        self.reach_state().await?;
        let command = format!("deploy {}", self.env.name());
        let workspace = Workspace::enter(self.env, source.clone(), &command).await?;
        tofu::init_if_changed(&workspace, step, stop).await
    }

    /// Plans the release's stack, with the stack's files of its own commit. With `approved` it takes the kept plan instead, which
    /// has to have that approval.
    pub async fn plan(
        &self,
        release: &Release,
        settings: &Settings,
        approved: Option<&str>,
        step: &Ongoing,
        stop: &Stop,
    ) -> Result<Planned, Failure> {
        let workspace = self.enter(release).await?;
        tofu::init_if_changed(&workspace, step, stop).await?;
        tofu::settle(&workspace, step, stop).await?;
        let takes_release = self.env.environment.settings.is_some();
        let variables = takes_release.then(|| ReleaseVariables::of(release, settings));
        match approved {
            Some(approval) => tofu::plan::kept(&workspace, stop).await?.approved(approval, variables.as_ref()),
            None => tofu::plan::make(&workspace, variables.as_ref(), Purpose::Apply, step, stop).await,
        }
    }

    /// Applies the plan of a release. A request to stop interrupts OpenTofu, which then saves the state. Fails if the platform
    /// reports an error of what was applied.
    pub async fn apply(
        &self,
        release: &Release,
        planned: &Planned,
        step: &Ongoing,
        stop: &Stop,
    ) -> Result<Candidate, Failure> {
        let workspace = self.enter(release).await.map_err(Failure::untouched)?;
        tofu::init_if_changed(&workspace, step, stop).await.map_err(Failure::untouched)?;
        let applied = tofu::apply::perform(&workspace, planned, &workspace.source, step, stop).await?;
        let outputs = Outputs::read(&workspace, stop).await;
        if let Ok(Outputs { container: Some(container), .. }) = &outputs {
            self.container.replace(Some(container.clone()));
        }
        // Where nothing was applied, the plan has asked.
        let unseen = if planned.has_changes { &applied.unseen } else { &planned.unseen };
        let is_wrong = |unseen: &&Unseen| unseen.verdict != Verdict::Good;
        if !applied.errored.is_empty() {
            unseen.iter().filter(is_wrong).for_each(|unseen| self.env.report.warn(&unseen.to_string()));
            let errored: Vec<String> = applied.errored.iter().map(ToString::to_string).collect();
            return Err(anyhow!("the platform reports an error of {}", errored.join("; ")).into());
        }
        let outputs = outputs?;
        // What cannot work fails the step of the public address, once the release is known to be well itself.
        let is_fatal = |unseen: &&Unseen| unseen.verdict == Verdict::Broken && outputs.url.is_some();
        let doubtful = unseen.iter().filter(|unseen| is_wrong(unseen) && !is_fatal(unseen));
        doubtful.for_each(|unseen| self.env.report.warn(&unseen.to_string()));
        let broken = unseen.iter().filter(is_fatal).map(ToString::to_string).collect();
        let Outputs { endpoint, url, container, record } = outputs;
        let (names, readiness) = (names()?, &self.env.config.service.readiness);
        let public = url.map(|url| PublicAddress::new(&url, readiness, record, names.clone(), names.network(), broken));
        Ok(Candidate {
            service: self.service(&endpoint)?,
            platform: Arc::new(Platform::of(self.env, container.as_deref())),
            public: public.transpose()?,
            endpoint,
            summary: applied.summary(),
        })
    }

    /// Checks that the release still answers, ready, where people reach it. The platform has switched to it already.
    pub async fn switch(&self, candidate: Candidate) -> Result<Switched, Failure> {
        let Candidate { service, platform, public, endpoint, .. } = candidate;
        let (address, public) = public.map_or((endpoint, None), |public| (public.url, Some(public.service)));
        let readiness = match public.as_ref().unwrap_or(&service).ask().await {
            Answer::Ready(readiness) => readiness,
            other => return Err(anyhow!("{address} was ready, and is not any more: {}", other.describe()).into()),
        };
        let services = [Some(service), public].into_iter().flatten().collect();
        Ok(Switched { address, readiness, watched: Some(Watched { services, platform }) })
    }

    /// The container's id, `<region>/<UUID>`, once this process has applied a release.
    pub fn container(&self) -> Option<String> {
        self.container.borrow().clone()
    }

    /// What the container has logged since a time, if a release was applied: one container runs one version.
    pub async fn log_of(&self, _version: &str, since: Timestamp) -> Result<Vec<String>, Failure> {
        match self.container() {
            Some(container) => self.log_since(&container, since).await,
            None => Ok(Vec::new()),
        }
    }

    /// The failure of an operation that only works with `target: local`.
    pub fn unsupported(&self, what: &str) -> Failure {
        let name = self.env.name();
        Failure::Usage(anyhow!(
            "{what} works with `target: local` only, and {name} runs on a stack\n  commands for {name}: cargo xtask deploy {name}, cargo xtask status {name}, cargo xtask tofu plan {name}"
        ))
    }

    async fn enter(&self, release: &Release) -> Result<Workspace<'a>, Failure> {
        self.reach_state().await?;
        let command = format!("deploy {}", self.env.name());
        Workspace::of_commit(self.env, &release.published.source, &command).await
    }

    /// Waits for the bucket of the state, if it is away: longer than OpenTofu, which does not say that it waits.
    async fn reach_state(&self) -> Result<(), Failure> {
        let reached = self.env.store()?.get(lease::KEY).await;
        reached.context("reach the bucket of the stack's state")?;
        Ok(())
    }

    fn service(&self, address: &str) -> Result<Service> {
        Service::through(format!("{address}{}", self.env.config.service.readiness), names()?.network())
    }
}

/// Who resolves the names of the service's addresses.
fn names() -> Result<Names> {
    Names::of(variable(dns::SERVER).as_deref())
}

impl Candidate {
    /// Where to read the container's log.
    pub fn where_its_log_is(&self) -> String {
        "its log is in the platform's console".to_owned()
    }
}
