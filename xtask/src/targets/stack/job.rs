//! A process beside the service: a job of Scaleway's Serverless Jobs, which runs the released image once with other arguments and
//! with the container's settings.
//!
//! A job definition shows its variables, so secrets are kept in Secret Manager while the job runs. Definition and secrets are of
//! one run and have its name; [`Place::clear`] finds them by that, also those of a process that was killed.

mod place;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow};
use secrecy::{ExposeSecret as _, SecretString};

use self::place::LOOKED_AT;
pub use self::place::{Ended, Job, Leftovers, Place};
use super::Stack;
use super::log::{self, Log};
use crate::clients::loki::of_job;
use crate::clients::registry::http::printable;
use crate::clients::scaleway::ContainerSettings;
use crate::failure::Failure;
use crate::release::Published;
use crate::state::history::Record;
use crate::tofu::unseen;

/// What a job gets.
pub struct Inputs {
    image: String,
    container: ContainerSettings,
    variables: BTreeMap<String, String>,
    secrets: Vec<(String, SecretString)>,
}

impl Stack<'_> {
    /// Where a job of this release would be made, and what it would get. Changes nothing. Fails where that is not what the release
    /// was deployed with.
    pub async fn job(&self, record: &Record, published: &Published) -> Result<(Place, Inputs), Failure> {
        let (env, name) = (self.env, self.env.name());
        let id = record.container.as_deref();
        let id = id.with_context(|| format!("the record {} names no container; the next deploy's does", record.id))?;
        let (containers, uuid) = unseen::containers(env, id)?;
        let found = containers.settings(uuid).await.map_err(anyhow::Error::from)?;
        let gone = || anyhow!("the platform has no container {id}, which the record {} names", record.id);
        let (container, project) = found.ok_or_else(gone)?;
        let image = published.image().context("a stack runs images")?;
        if !container.image.ends_with(&format!("@{}", published.digest)) {
            return Err(Failure::Refused(anyhow!(
                "the container runs {}, and the record {} says {}, so its settings may be another release's\n  \
                 to compare them, type: cargo xtask status {name}",
                printable(&container.image),
                record.id,
                published.digest
            )));
        }
        if container.private_network_id.is_some() {
            env.report.warn("the container is in a private network, and a job of Scaleway is not: it does not reach what is only there");
        }
        let (region, _) = id.split_once('/').context("the container's id has no region")?;
        // What a person has to set is said before anything is made.
        log::of(env, of_job(""), log::back())?;
        let variables = container.environment_variables.clone().unwrap_or_default();
        let secrets = self.deployed_secrets(record, &container).await?;
        refuse_lines(name, &variables, &secrets)?;
        let place = Place::new(env, region, project)?;
        Ok((place, Inputs { image, container, variables, secrets }))
    }

    /// The secrets of the container with their values of here, if those are the ones that the release was deployed with.
    async fn deployed_secrets(
        &self,
        record: &Record,
        container: &ContainerSettings,
    ) -> Result<Vec<(String, SecretString)>, Failure> {
        let (name, settings) = (self.env.name(), self.provision(&self.media().await?).await?);
        let (mut secrets, mut unknown, mut changed) = (Vec::new(), Vec::new(), Vec::new());
        for secret in container.secret_environment_variables.iter().flatten().map(|(name, _)| name.as_str()) {
            match settings.secrets.get(secret) {
                None => unknown.push(secret),
                Some(_) if record.secrets.get(secret) != settings.fingerprints.get(secret) => changed.push(secret),
                Some(value) => secrets.push((secret.to_owned(), value.clone())),
            }
        }
        if !changed.is_empty() {
            return Err(Failure::Refused(anyhow!(
                "these secrets are not the ones that {} was deployed with: {}\n  put the deployed values into .env.{name}, or deploy \
                 the new ones: cargo xtask deploy {name}",
                record.version(),
                changed.join(", ")
            )));
        }
        if !unknown.is_empty() {
            return Err(Failure::Refused(anyhow!(
                "the container has secrets whose values are not known here, because the stack makes them: {}\n  Scaleway shows no \
                 secret again; declare them as settings of the service and put their values into .env.{name}, then type: \
                 cargo xtask deploy {name}",
                unknown.join(", ")
            )));
        }
        Ok(secrets)
    }

    /// The log of a job. None where no address and token of logs are set.
    pub fn log_of_job(&self, job: &Job) -> Result<Option<Log>, Failure> {
        // The platform's own clock, so that this machine's does not matter.
        let begun = job.run.created_at.unwrap_or_else(log::back);
        log::of(self.env, of_job(&job.run.id), begun.checked_sub(LOOKED_AT).unwrap_or(begun))
    }
}

/// Scaleway documents that a variable of several lines does not reach a job unchanged.
fn refuse_lines(
    environment: &str,
    variables: &BTreeMap<String, String>,
    secrets: &[(String, SecretString)],
) -> Result<(), Failure> {
    let plain = variables.iter().map(|(name, value)| (name, value.as_str()));
    let all = plain.chain(secrets.iter().map(|(name, value)| (name, value.expose_secret())));
    let lines: Vec<&str> =
        all.filter(|(_, value)| value.contains(['\n', '\r'])).map(|(name, _)| name.as_str()).collect();
    if lines.is_empty() {
        return Ok(());
    }
    Err(Failure::Refused(anyhow!(
        "a job of Scaleway does not get a value of several lines unchanged: {}\n  let the service read it in base64, on one line, and \
         type: cargo xtask deploy {environment}",
        lines.join(", ")
    )))
}
