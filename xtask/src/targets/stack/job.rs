//! A process beside the service: a job of Scaleway's Serverless Jobs, which runs the released image once with other arguments and
//! with the container's settings.
//!
//! A job definition shows its variables, so secrets are kept in Secret Manager while the job runs. Definition and secrets are of
//! one run and have its name; [`Place::clear`] finds them by that, also those of a process that was killed.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use super::Stack;
use super::log::{self, Log};
use crate::clients::loki::of_job;
use crate::clients::registry::http::printable;
use crate::clients::scaleway::{ContainerSettings, Definition, JobRun, Jobs, NewJob, Vault};
use crate::env::Env;
use crate::failure::Failure;
use crate::release::Published;
use crate::report::{Ongoing, Summary};
use crate::state::history::Record;
use crate::tofu::unseen;

/// The most seconds that a job may run, which is the platform's own limit.
const TIMEOUT: u64 = 24 * 3600;
/// How long a secret is kept where nothing deletes it: as long as the job may run, and some time to be started.
const KEPT: u64 = TIMEOUT + 3600;
/// Another process may still look at a run that ended less than that ago.
const LOOKED_AT: SignedDuration = SignedDuration::from_mins(2);
/// The least storage of a job, where the container has no limit of its own.
const STORAGE_MIB: u64 = 1000;
const MIB: u64 = 1 << 20;

/// What the jobs of an environment are made with.
pub struct Place {
    jobs: Jobs,
    vault: Vault,
    region: String,
    /// The id of the project at Scaleway.
    project: String,
    /// What the names of all jobs of the environment begin with.
    begin: String,
    /// The name of this process's job.
    name: String,
}

/// What a job gets.
pub struct Inputs {
    image: String,
    container: ContainerSettings,
    variables: BTreeMap<String, String>,
    secrets: Vec<(String, SecretString)>,
}

/// A job that was started.
pub struct Job {
    /// Its run, as it was when it was looked at last.
    pub run: JobRun,
}

/// What earlier processes have left.
#[derive(Default)]
pub struct Leftovers {
    /// What was deleted.
    pub deleted: Vec<String>,
    /// Jobs that still run.
    pub running: Vec<String>,
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
        let (name, settings) = (self.env.name(), self.provision().await?);
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

impl Place {
    fn new(env: &Env<'_>, region: &str, project: String) -> Result<Self> {
        let (api, key) = unseen::scaleway(env)?;
        let begin = format!("{}-{}-run-", env.config.project, env.name());
        let mut digits = [0; 4];
        getrandom::fill(&mut digits).context("read random bytes from the operating system")?;
        Ok(Self {
            jobs: Jobs::new(&api, region, &key)?,
            vault: Vault::new(&api, region, &key)?,
            region: region.to_owned(),
            project,
            name: format!("{begin}{}", hex::encode(digits)),
            begin,
        })
    }

    /// Makes a job with these arguments of the program and starts it. What was made remains where this fails or is dropped:
    /// [`Place::clear`] deletes it.
    pub async fn start(&self, inputs: &Inputs, args: &[String], step: &Ongoing) -> Result<Job> {
        let Inputs { image, container, variables, secrets } = inputs;
        step.progress(&format!("making the job {}", self.name));
        let mut variables = variables.clone();
        variables.extend(container.port.map(|port| ("PORT".to_owned(), port.to_string())));
        let job = NewJob {
            name: &self.name,
            description: "made by `cargo xtask run`, which deletes it when it has ended",
            project: &self.project,
            image,
            startup_command: container.command.as_deref().unwrap_or_default(),
            args,
            variables: &variables,
            mvcpu: container.mvcpu_limit,
            memory_mib: container.memory_limit_bytes.div_ceil(MIB),
            storage_mib: container
                .local_storage_limit_bytes
                .map_or(STORAGE_MIB, |bytes| bytes.div_ceil(MIB))
                .max(STORAGE_MIB),
            timeout: TIMEOUT,
        };
        let definition = self.jobs.create(&job).await.with_context(|| permissions("ServerlessJobsFullAccess"))?;
        let (mut kept, tag) = (Vec::new(), self.tag());
        for (name, value) in secrets {
            step.progress(&format!("giving it the secret {name}"));
            let kept_as = format!("{}-{name}", self.name);
            let id = self.vault.keep(&self.project, &kept_as, &[&tag, &self.name], value, KEPT).await;
            kept.push((name.as_str(), id.with_context(|| permissions("SecretManagerFullAccess"))?));
        }
        if !kept.is_empty() {
            let references: Vec<(&str, &str)> = kept.iter().map(|(name, id)| (*name, id.as_str())).collect();
            self.jobs.refer(&definition, &references).await?;
        }
        step.progress("starting it");
        Ok(Job { run: self.jobs.start(&definition).await? })
    }

    /// A job as it is now.
    pub async fn look(&self, job: &Job) -> Result<Job> {
        Ok(Job { run: self.jobs.run(&job.run).await? })
    }

    /// Asks the platform to stop a job.
    pub async fn stop(&self, job: &Job) -> Result<()> {
        Ok(self.jobs.stop(&job.run).await?)
    }

    /// Deletes what was made for this process's job.
    pub async fn clear(&self) -> Result<()> {
        let definitions = self.jobs.definitions(&self.project, &self.name).await?;
        for definition in &definitions {
            // A start whose answer was lost, or not waited for. It may end in this moment.
            for run in self.jobs.runs(definition).await?.iter().filter(|run| !run.has_ended()) {
                self.jobs.stop(run).await.ok();
            }
            self.jobs.delete(definition).await?;
        }
        for secret in self.vault.tagged(&self.project, &self.name).await? {
            self.vault.delete(&secret).await?;
        }
        Ok(())
    }

    /// Deletes what processes left that were killed. To be called with the environment's lease: then none begins another job.
    pub async fn clear_leftovers(&self) -> Result<Leftovers> {
        let mut found = Leftovers::default();
        let mut in_use = Vec::new();
        for definition in self.jobs.definitions(&self.project, &self.begin).await? {
            match self.last_moment(&definition).await? {
                Some(reason) => {
                    found.running.extend(reason);
                    in_use.push(definition.name);
                }
                None => {
                    self.jobs.delete(&definition).await?;
                    found.deleted.push(format!("the job {}", definition.name));
                }
            }
        }
        for secret in self.vault.tagged(&self.project, &self.tag()).await? {
            if !secret.tags.iter().any(|tag| in_use.contains(tag)) {
                self.vault.delete(&secret).await?;
                found.deleted.push(format!("the secret {}", secret.name));
            }
        }
        Ok(found)
    }

    /// None if no process needs a definition any more. Its name is returned if it still runs.
    async fn last_moment(&self, definition: &Definition) -> Result<Option<Option<String>>> {
        let runs = self.jobs.runs(definition).await?;
        if let Some(run) = runs.iter().find(|run| !run.has_ended()) {
            return Ok(Some(Some(format!("{} ({})", definition.name, printable(&run.state)))));
        }
        let since = |at: Timestamp| Timestamp::now().duration_since(at);
        let is_looked_at = runs.iter().filter_map(|run| run.terminated_at).any(|at| since(at) < LOOKED_AT);
        Ok(is_looked_at.then_some(None))
    }

    fn tag(&self) -> String {
        self.begin.trim_end_matches('-').to_owned()
    }

    /// Where a person finds a job in Scaleway's console.
    pub fn console(&self, job: &Job) -> String {
        format!("Scaleway's console, Serverless Jobs, region {}, {}, run {}", self.region, self.name, job.run.id)
    }
}

impl Job {
    /// How it ended, for people. None while it runs.
    pub fn ended(&self) -> Option<Ended> {
        let run = &self.run;
        run.has_ended().then(|| {
            let text = |text: &Option<String>| text.as_deref().filter(|text| !text.is_empty()).map(printable);
            let reason = text(&run.reason).filter(|reason| reason != "unknown_reason");
            let why: Vec<String> = reason.into_iter().chain(text(&run.error_message)).collect();
            Ended { succeeded: run.state == "succeeded", code: run.exit_code, why: why.join(": ") }
        })
    }
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Whether the platform calls it a success.
    pub succeeded: bool,
    /// The program's exit code, where it ended by itself.
    pub code: Option<i32>,
    /// The platform's reason; may be empty.
    pub why: String,
}

impl Summary for Job {
    fn summary(&self) -> String {
        format!("{} as the job run {}", printable(&self.run.state), self.run.id)
    }
}

/// Scaleway documents that a variable of several lines does not reach a job unchanged.
fn refuse_lines(
    environment: &str,
    variables: &BTreeMap<String, String>,
    secrets: &[(String, SecretString)],
) -> Result<(), Failure> {
    use secrecy::ExposeSecret as _;
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

fn permissions(set: &str) -> String {
    format!("make a job, for which the key needs the permission set {set} in the container's project")
}
