//! `bootstrap state`: the bucket of an environment's state. A state is secret, is all that is known of what a stack has made,
//! and must have one writer at a time; so the bucket is closed, keeps what is overwritten, and is tried for locking.

mod found;
mod lifecycle;
mod locking;
mod policy;
mod provider;
mod settings;
mod whose;

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow};
use serde_json::Value;

use self::found::Found;
use super::item::{Item, Verdict};
use super::{Foundation, How, bootstrap};
use crate::check::Check;
use crate::clients::s3::error::{Kind, S3Error};
use crate::clients::s3::{Acl, Bucket, Lifecycle};
use crate::config::{Config, Environment, Provider, Stack};
use crate::env::Env;
use crate::failure::Failure;
use crate::report::Report;

/// Looks at the state's bucket, asks, and mends it.
pub async fn state(env: &Env<'_>, how: How) -> Result<(), Failure> {
    bootstrap(&StateBucket::open(env)?, how, env).await
}

/// Whether the bucket is there and lets this machine in, for doctor: its objects are listed, and nothing is changed.
pub async fn check(env: &Env<'_>) -> Check {
    let lent = ["AWS_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"];
    let lent = lent.into_iter().find(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    let bucket = match (StateBucket::open(env), lent) {
        (Ok(bucket), _) => bucket,
        (Err(_), Some(lent)) => {
            return Check::doubtful(
                "state",
                format!("{} was not tried: its key comes by {lent}", env.state_location().unwrap_or_default()),
            );
        }
        (Err(failure), None) => return Check::failed("state", failure),
    };
    match bucket.bucket.keys().await {
        Ok(_) => Check::good("state", format!("{} lets us in", bucket.infra.stack.state.bucket)),
        Err(error) if error.kind == Kind::NoBucket => {
            Check::bad("state", error.to_string(), format!("cargo xtask bootstrap state {}", env.name()))
        }
        Err(error) => Check::failed("state", bucket.explain(error)),
    }
}

struct StateBucket<'a> {
    infra: Infra<'a>,
    bucket: Bucket,
}

struct Infra<'a> {
    config: &'a Config,
    name: &'a str,
    stack: &'a Stack,
    report: Report,
}

/// What it takes to mend one item.
#[derive(Clone, Debug, PartialEq)]
enum Mend {
    Create,
    Versioning,
    PublicAccess,
    Grants(Acl),
    Encryption,
    Policy { before: Option<Value>, after: Value },
    Lifecycle(Lifecycle),
    Tags(BTreeMap<String, String>),
}

impl<'a> StateBucket<'a> {
    fn open(env: &'a Env<'a>) -> Result<Self, Failure> {
        let infra = Infra { config: env.config, name: env.name(), stack: env.stack()?, report: env.report.clone() };
        Ok(Self { infra, bucket: env.state_bucket()? })
    }

    fn provider(&self) -> Provider {
        self.infra.stack.state.provider
    }

    /// The environments whose states are in this bucket.
    fn environments(&self) -> impl Iterator<Item = &'a Environment> {
        let state = &self.infra.stack.state;
        let here = |environment: &&Environment| {
            let other = environment.stack().map(|stack| &stack.state);
            other.is_some_and(|other| other.bucket == state.bucket && other.endpoint == state.endpoint)
        };
        self.infra.config.environments.values().filter(here)
    }

    /// What is of no use to know where the bucket cannot be reached, with what to look at.
    fn explain(&self, error: S3Error) -> Failure {
        let state = &self.infra.stack.state;
        let next = match error.kind {
            Kind::Unknown => {
                let keys = provider::keys(state.provider);
                format!(
                    "look at {keys}, in the environment or in .env.{}, and at this machine's clock",
                    self.infra.name
                )
            }
            Kind::Away => match &state.endpoint {
                Some(endpoint) => format!("look at the network, and at `endpoint: {endpoint}` in deploy.yaml"),
                None => "look at the network, and at the `region` of `state` in deploy.yaml".to_owned(),
            },
            _ => return Failure::Failed(error.into()),
        };
        Failure::Failed(anyhow!("{error}\n  {next}"))
    }

    /// Sets a policy, and takes it back where it shuts out whoever has set it: not every service reads conditions.
    async fn put_policy(&self, before: Option<&Value>, after: &Value) -> Result<(), Failure> {
        self.bucket.put_policy(Some(after)).await.map_err(|error| self.explain(error))?;
        let Err(error) = locking::prove(&self.bucket, false, Vec::new()).await else { return Ok(()) };
        if error.kind != Kind::Denied {
            return Err(self.explain(error));
        }
        let restored = self.bucket.put_policy(before).await;
        restored.context("take back a policy that shuts this key out")?;
        Err(anyhow!("it shut this key out too, so it was taken back: {error}").into())
    }
}

impl Foundation for StateBucket<'_> {
    type Mend = Mend;

    fn title(&self) -> String {
        let state = &self.infra.stack.state;
        let at = state.endpoint.as_ref().map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
        format!("the bucket of the state of {}: {}{at}", self.infra.name, state.bucket)
    }

    fn command(&self) -> String {
        format!("cargo xtask bootstrap state {}", self.infra.name)
    }

    /// One round of questions side by side, and three or four for the proof, one after another.
    async fn look(&self) -> Result<Vec<Item<Mend>>, Failure> {
        let found = Box::pin(Found::ask(&self.bucket, self.provider())).await;
        if let Some(error) = found.nobody_knows() {
            return Err(self.explain(error));
        }
        let bucket = self.whose(&found)?;
        match bucket.verdict {
            Verdict::Good => {}
            Verdict::Differs { .. } => return Ok([bucket].into_iter().chain(self.waiting()).collect()),
            _ => return Ok(vec![bucket]),
        }
        let mut items = vec![bucket, self.objects(&found)];
        if items.iter().any(|item| item.verdict != Verdict::Good) {
            return Ok(items);
        }
        items.push(self.locking(&found).await?);
        items.extend(self.settings(found)?);
        Ok(items)
    }

    async fn mend(&self, mend: &Mend) -> Result<(), Failure> {
        let done = match mend {
            Mend::Create => {
                let constraint = provider::constraint(self.provider(), &self.infra.stack.state.region);
                let made = self.bucket.create(constraint).await;
                if let Err(error) = &made
                    && error.kind == Kind::Taken
                {
                    let text =
                        format!("{error}\n  it is somebody else's: write another `bucket` into `state` in deploy.yaml");
                    return Err(Failure::Refused(anyhow!(text)));
                }
                made
            }
            Mend::Versioning => return self.keep_versions().await,
            Mend::PublicAccess => self.bucket.put_public_access(settings::closed()).await,
            Mend::Grants(acl) => self.bucket.put_acl(acl).await,
            Mend::Encryption => self.bucket.put_encryption().await,
            Mend::Policy { before, after } => return self.put_policy(before.as_ref(), after).await,
            Mend::Lifecycle(lifecycle) => self.bucket.put_lifecycle(lifecycle).await,
            Mend::Tags(tags) => self.bucket.put_tags(tags).await,
        };
        done.map_err(|error| self.explain(error))
    }
}
