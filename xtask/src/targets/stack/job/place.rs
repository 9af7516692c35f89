//! Where jobs are made: definitions of Serverless Jobs, and the secrets of their runs in Secret Manager.

use anyhow::{Context as _, Result};
use jiff::{SignedDuration, Timestamp};

use super::Inputs;
use crate::clients::registry::http::printable;
use crate::clients::scaleway::{Definition, JobRun, Jobs, NewJob, Vault};
use crate::env::Env;
use crate::report::{Ongoing, Summary};
use crate::tofu::unseen;

/// The most seconds that a job may run, which is the platform's own limit.
const TIMEOUT: u64 = 24 * 3600;
/// How long a secret is kept where nothing deletes it: as long as the job may run, and some time to be started.
const KEPT: u64 = TIMEOUT + 3600;
/// Another process may still look at a run that ended less than that ago.
pub(super) const LOOKED_AT: SignedDuration = SignedDuration::from_mins(2);
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

/// A job that was started.
pub struct Job {
    /// Its run, as the platform's last answer describes it.
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

/// Whether a process needs a definition.
enum Use {
    /// Its job runs, in this state.
    Runs(String),
    /// Its job has just ended.
    LookedAt,
    None,
}

impl Place {
    pub(super) fn new(env: &Env<'_>, region: &str, project: String) -> Result<Self> {
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
            match self.use_of(&definition).await? {
                Use::Runs(state) => {
                    found.running.push(format!("{} ({state})", definition.name));
                    in_use.push(definition.name);
                }
                Use::LookedAt => in_use.push(definition.name),
                Use::None => {
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

    async fn use_of(&self, definition: &Definition) -> Result<Use> {
        let runs = self.jobs.runs(definition).await?;
        if let Some(run) = runs.iter().find(|run| !run.has_ended()) {
            return Ok(Use::Runs(printable(&run.state)));
        }
        let since = |at: Timestamp| Timestamp::now().duration_since(at);
        let is_looked_at = runs.iter().filter_map(|run| run.terminated_at).any(|at| since(at) < LOOKED_AT);
        Ok(if is_looked_at { Use::LookedAt } else { Use::None })
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

fn permissions(set: &str) -> String {
    format!("make a job, for which the key needs the permission set {set} in the container's project")
}
