//! The bucket of an environment's state. A state holds secrets, is the only record of what a stack has created, and needs
//! one writer at a time. So the bucket must be private, keep old versions, and support OpenTofu's locks.

mod answers;
mod lifecycle;
mod locking;
mod ownership;
mod policy;
mod provider;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow};
use serde_json::Value;

use self::answers::Answers;
use super::Prerequisite;
use super::item::{Item, Verdict};
use crate::check::Check;
use crate::clients::s3::error::{Kind, S3Error};
use crate::clients::s3::{Acl, Bucket, Lifecycle};
use crate::config::{Environment, State};
use crate::env::{self, Env};
use crate::failure::Failure;

/// The bucket of an environment's state. It need not exist.
pub struct StateBucket<'a> {
    env: &'a Env<'a>,
    state: &'a State,
    bucket: Bucket,
}

/// What fixing an item takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Fix {
    Create,
    Versioning,
    PublicAccess,
    Grants(Acl),
    Encryption,
    Policy { before: Option<Value>, after: Value },
    Lifecycle(Lifecycle),
    Tags(BTreeMap<String, String>),
}

/// Doctor's check: whether the bucket exists and this machine's key can list it.
pub async fn check(env: &Env<'_>) -> Check {
    let temporary = env::temporary_key();
    let bucket = match (StateBucket::open(env), temporary) {
        (Ok(bucket), _) => bucket,
        (Err(_), Some(variable)) => {
            let bucket = env.state_location().unwrap_or_default();
            return Check::doubtful("state", format!("{bucket} was not checked: OpenTofu gets its key by {variable}"));
        }
        (Err(failure), None) => return Check::failed("state", failure),
    };
    match bucket.bucket.keys().await {
        Ok(_) => Check::good("state", format!("{} accepts the key", bucket.state.bucket)),
        Err(error) if error.kind == Kind::NoBucket => Check::bad("state", error.to_string(), bucket.command()),
        Err(error) => Check::failed("state", bucket.explain(error)),
    }
}

impl<'a> StateBucket<'a> {
    /// The bucket of the environment's state. Fails without a stack or a key. No request is made yet.
    pub fn open(env: &'a Env<'a>) -> Result<Self, Failure> {
        Ok(Self { env, state: &env.stack()?.state, bucket: env.state_bucket()? })
    }

    /// The environments whose states are in this bucket.
    fn environments(&self) -> impl Iterator<Item = &'a Environment> {
        let here = |environment: &&Environment| {
            let other = environment.stack().map(|stack| &stack.state);
            other.is_some_and(|other| other.bucket == self.state.bucket && other.endpoint == self.state.endpoint)
        };
        self.env.config.environments.values().filter(here)
    }

    /// The failure, with the next step when the service was not reached or does not accept the key.
    fn explain(&self, error: S3Error) -> Failure {
        let next = match error.kind {
            Kind::Unknown => {
                let (keys, name) = (provider::keys(self.state.provider), self.env.name());
                format!("check {keys}, in the environment or in .env.{name}, and this machine's clock")
            }
            Kind::Away => match &self.state.endpoint {
                Some(endpoint) => format!("check the network, and `endpoint: {endpoint}` in deploy.yaml"),
                None => "check the network, and the `region` of `state` in deploy.yaml".to_owned(),
            },
            _ => return Failure::Failed(error.into()),
        };
        Failure::Failed(anyhow!("{error}\n  {next}"))
    }

    async fn create(&self) -> Result<(), Failure> {
        let made = self.bucket.create(provider::constraint(self.state.provider, &self.state.region)).await;
        made.map_err(|error| match error.kind {
            Kind::Taken => Failure::Refused(anyhow!(
                "{error}\n  another account has a bucket of this name: use another `bucket` in `state` in deploy.yaml"
            )),
            _ => self.explain(error),
        })
    }

    /// Sets a policy. Some services ignore conditions, and then refuse every request: the old policy is restored there.
    async fn put_policy(&self, before: Option<&Value>, after: &Value) -> Result<(), Failure> {
        self.bucket.put_policy(Some(after)).await.map_err(|error| self.explain(error))?;
        let Err(error) = locking::probe(&self.bucket, false, Vec::new()).await else { return Ok(()) };
        if error.kind != Kind::Denied {
            return Err(self.explain(error));
        }
        let restored = self.bucket.put_policy(before).await;
        restored.context("restore the policy that was there before: the new one locks this key out")?;
        Err(anyhow!("the policy locked this key out, so the old policy was restored: {error}").into())
    }
}

impl Prerequisite for StateBucket<'_> {
    type Fix = Fix;

    fn title(&self) -> String {
        let at = self.state.endpoint.as_ref().map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
        format!("state bucket of {}: {}{at}", self.env.name(), self.state.bucket)
    }

    fn command(&self) -> String {
        format!("cargo xtask bootstrap state {}", self.env.name())
    }

    /// Takes one round trip for all settings, and three or four for the locks.
    async fn inspect(&self) -> Result<Vec<Item<Fix>>, Failure> {
        let answers = Box::pin(Answers::ask(&self.bucket, self.state.provider)).await;
        if let Some(error) = answers.no_answer() {
            return Err(self.explain(error));
        }
        let bucket = self.ownership(&answers)?;
        match bucket.verdict {
            Verdict::Good => {}
            Verdict::Differs { .. } => return Ok([bucket].into_iter().chain(self.waiting()).collect()),
            _ => return Ok(vec![bucket]),
        }
        let mut items = vec![bucket, self.objects(&answers)];
        if items.iter().any(|item| item.verdict != Verdict::Good) {
            return Ok(items);
        }
        items.push(self.locking(&answers).await?);
        items.extend(self.settings(answers)?);
        Ok(items)
    }

    async fn fix(&self, fix: &Fix) -> Result<(), Failure> {
        let done = match fix {
            Fix::Create => return self.create().await,
            Fix::Versioning => return self.enable_versioning().await,
            Fix::Policy { before, after } => return self.put_policy(before.as_ref(), after).await,
            Fix::PublicAccess => self.bucket.put_public_access(settings::blocked()).await,
            Fix::Grants(acl) => self.bucket.put_acl(acl).await,
            Fix::Encryption => self.bucket.put_encryption().await,
            Fix::Lifecycle(lifecycle) => self.bucket.put_lifecycle(lifecycle).await,
            Fix::Tags(tags) => self.bucket.put_tags(tags).await,
        };
        done.map_err(|error| self.explain(error))
    }
}
