//! The stack, the platform and the service beside the record of the release that went live last.

use anyhow::{Context as _, anyhow};
use serde::Serialize;

use super::settings::media;
use super::{Seen, Stack};
use crate::clients::service::Answer;
use crate::failure::Failure;
use crate::image::ServiceImage;
use crate::report::Step;
use crate::state::history::{self, Record};
use crate::state::lease::{self, Holder};
use crate::tofu::drift::{self, StackDrift};
use crate::tofu::variables::ReleaseVariables;
use crate::tofu::{self, Workspace};
use crate::tools::git;

/// What was found.
#[derive(Debug, Serialize)]
pub struct Drift {
    /// The release that should serve; none for a stack that does not run the service.
    pub record: Option<Record>,
    /// Who deploys now: what differs may be that deploy's work.
    pub under_way: Option<Holder>,
    /// What was changed outside of OpenTofu.
    pub stack: StackDrift,
    /// What the platform says of the container.
    pub platform: Option<Seen>,
    /// How the service is not as the record says; none where it is.
    pub service: Option<String>,
}

impl Drift {
    /// Every difference: of which part, and what.
    pub fn differences(&self) -> Vec<(&'static str, String)> {
        let of = |part: &'static str| move |text: String| (part, text);
        let platform = self.platform.iter().flat_map(|seen| seen.differs().to_vec());
        let stack = self.stack.lines().into_iter().map(of("stack"));
        stack.chain(platform.map(of("platform"))).chain(self.service.clone().map(of("service"))).collect()
    }
}

impl Stack<'_> {
    /// Compares what is there with the last record, and changes nothing. The parts are asked side by side.
    pub async fn drift(&self) -> Result<Drift, Failure> {
        let (env, store) = (self.env, self.env.store()?);
        let runs_service = env.config.lacks_for_a_stack(env.environment).is_none();
        let record = match runs_service {
            true => Some(history::live(store).await?.ok_or_else(|| {
                let name = env.name();
                anyhow!("nothing was deployed to {name} yet, so there is nothing to compare\n  type: cargo xtask deploy {name}")
            })?),
            false => None,
        };
        if let Some(record) = &record {
            // Its commit decides what OpenTofu runs.
            self.verify(record).await?;
        }
        let platform = async {
            match &record {
                Some(record) => Some(self.seen(record).await),
                None => None,
            }
        };
        let (stack, platform, service, under_way) = tokio::join!(
            Box::pin(self.stack_drift(record.as_ref())),
            platform,
            self.service_drift(record.as_ref()),
            lease::status(store)
        );
        Ok(Drift { stack: stack?, platform, service: service?, under_way: under_way?, record })
    }

    async fn stack_drift(&self, record: Option<&Record>) -> Result<StackDrift, Failure> {
        let (env, stop) = (self.env, &self.env.stop);
        let command = format!("cargo xtask drift {}", env.name());
        let workspace = match record {
            Some(record) => {
                let source = record.source.as_ref();
                let source = source.with_context(|| format!("the record {} names no source", record.id))?;
                Workspace::of_commit(env, source, &command).await?
            }
            None => Workspace::enter(env, git::source(env.root(), git::Filters::Run).await?, &command).await?,
        };
        if !tofu::is_initialized(&workspace)? {
            env.report.step(Step::Init, async |step| tofu::init(&workspace, step, stop).await).await?;
        }
        let media = media(env).await?;
        let settings = env.environment.settings.is_some().then(|| self.settings(&media)).transpose()?;
        let settings = settings.map(|settings| match record {
            Some(record) => settings.with_plain(&record.settings),
            None => settings,
        });
        let image = record.map(|record| self.image_of(record)).transpose()?;
        let release = settings.as_ref().map(|settings| ReleaseVariables { source: &workspace.source, image, settings });
        let found = async |step: &_| drift::find(&workspace, release.as_ref(), step, stop).await;
        env.report.step(Step::Plan, found).await
    }

    fn image_of(&self, record: &Record) -> Result<String, Failure> {
        let digest = record.digest.as_ref().with_context(|| format!("the record {} names no image", record.id))?;
        Ok(format!("{}@{digest}", ServiceImage::find(self.env)?.name()))
    }

    /// How the service at its public address is not what the record says.
    async fn service_drift(&self, record: Option<&Record>) -> Result<Option<String>, Failure> {
        let Some((record, address)) = record.and_then(|record| Some((record, record.address.as_ref()?))) else {
            return Ok(None);
        };
        let answer = self.service(address)?.ask().await;
        Ok(match &answer {
            answer if answer.is_ready_as(record.version()) => None,
            Answer::Ready(readiness) => {
                Some(format!("{address} answers as {}, and the record says {}", readiness.version, record.version()))
            }
            other => Some(format!("{address} is not ready: {}", other.describe())),
        })
    }
}
