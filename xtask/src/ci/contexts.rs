//! The contexts of a job's expressions, with the values of this machine: what `.env.<environment>` has for secrets and variables, the
//! clone for the commit, and the jobs before for their outputs.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::checkout::Checkout;
use super::expression::{Contexts, holds, interpolate};
use super::workflow::{Job, Step, Workflow};
use super::{Ended, Request};
use crate::config::{Config, Environment};
use crate::failure::Failure;
use crate::needs::{needs, planned_at_github};
use crate::secrets::Secrets;

/// What is the same for all jobs of a run.
pub struct Known<'a> {
    pub config: &'a Config,
    pub workflow: &'a Workflow,
    /// The variables of the runner that every step has, and values of the context `github`.
    pub github: BTreeMap<&'static str, String>,
    /// What this machine adds to them.
    pub variables: &'a BTreeMap<String, String>,
    inputs: &'a BTreeMap<String, String>,
    tag: &'a str,
}

/// The contexts of one job.
pub struct JobContexts<'a> {
    known: &'a Known<'a>,
    job: &'a Job,
    pub event: &'a str,
    before: &'a [Ended],
    environment: Option<&'a Environment>,
    file: Secrets,
    /// The outputs of steps, by the step's id.
    pub steps: BTreeMap<String, BTreeMap<String, String>>,
    /// Whether a step has failed.
    pub failed: bool,
}

impl<'a> Known<'a> {
    pub fn new(
        config: &'a Config,
        checkout: &'a Checkout,
        workflow: &'a Workflow,
        request: &'a Request<'a>,
    ) -> Result<Self, Failure> {
        let named = config.github.as_ref().and_then(|github| github.repository.clone());
        let repository = named.ok_or_else(|| {
            Failure::Usage(anyhow!("add the repository to deploy.yaml: github: {{ repository: owner/name }}"))
        })?;
        let owner = repository.split('/').next().unwrap_or_default().to_owned();
        let main = &config.source.main_branch;
        let github = BTreeMap::from([
            ("actor", owner.clone()),
            ("api_url", "https://api.github.com".to_owned()),
            ("ref", format!("refs/heads/{main}")),
            ("ref_name", main.clone()),
            ("repository", repository),
            ("repository_owner", owner),
            ("run_attempt", "1".to_owned()),
            ("run_id", "1".to_owned()),
            ("run_number", "1".to_owned()),
            ("server_url", "https://github.com".to_owned()),
            ("sha", checkout.commit.clone()),
            ("workflow", workflow.name.clone()),
            ("workspace", checkout.root.to_string()),
        ]);
        Ok(Self {
            config,
            workflow,
            github,
            variables: &request.variables,
            inputs: &request.inputs,
            tag: &checkout.tag,
        })
    }
}

impl<'a> JobContexts<'a> {
    pub fn new(known: &'a Known<'a>, job: &'a Job, event: &'a str, before: &'a [Ended]) -> Result<Self> {
        let environments = known.config.environments.values();
        let named = |environment: &&Environment| {
            let own = [environment.name.clone(), planned_at_github(&environment.name)];
            job.environment().is_some_and(|name| own.iter().any(|own| own == name))
        };
        let environment = environments.into_iter().find(named);
        let file = match environment {
            Some(environment) => Secrets::read_file(&known.config.env_file(&environment.name))?,
            None => Secrets::default(),
        };
        let (steps, failed) = (BTreeMap::new(), false);
        Ok(Self { known, job, event, before, environment, file, steps, failed })
    }

    /// Whether the event and the jobs before start this one.
    pub fn starts(&self) -> Result<bool> {
        let needed = self.job.needs();
        let succeeded = |id: &&str| self.before.iter().any(|ended| ended.job == **id && ended.failure().is_none());
        // A job that runs alone does not wait for those that were not asked for.
        let ran = |id: &&&str| self.before.iter().any(|ended| ended.job == ***id);
        let all = match self.job.takes_outputs() {
            true => needed.iter().all(succeeded),
            false => needed.iter().filter(ran).all(succeeded),
        };
        Ok(all && self.job.condition.as_deref().map_or(Ok(true), |condition| holds(condition, self))?)
    }

    /// The variables of a step, without those of the runner.
    pub fn environment_of(&self, step: &Step) -> Result<Vec<(String, String)>> {
        let all = self.known.workflow.env.iter().chain(&self.job.env).chain(&step.env);
        all.map(|(name, text)| Ok((name.clone(), interpolate(text, self)?))).collect()
    }

    /// The values that the file has, to be masked.
    pub fn secrets(&self) -> &Secrets {
        &self.file
    }

    /// The names that the environment needs and that the steps take, and that have no value.
    pub fn missing<'s>(&self, steps: impl Iterator<Item = &'s Step>) -> Result<Vec<String>> {
        let Some(environment) = self.environment else { return Ok(Vec::new()) };
        let table = self.known.config.settings_table()?;
        let required = needs(self.known.config, environment, &table)?.into_iter().filter(|need| need.required);
        let texts: Vec<&String> = steps.flat_map(|step| step.env.values()).collect();
        let is_taken = |name: &str| {
            texts
                .iter()
                .any(|text| text.contains(&format!("secrets.{name} ")) || text.contains(&format!("vars.{name} ")))
        };
        Ok(required.map(|need| need.name).filter(|name| is_taken(name) && self.given(name).is_none()).collect())
    }

    /// The environment's name in deploy.yaml.
    pub fn environment_name(&self) -> Option<&str> {
        self.environment.map(|environment| environment.name.as_str())
    }

    /// What GitHub says of the job in a token.
    pub fn claims(&self) -> Map<String, Value> {
        let of = |name: &str| self.known.github.get(name).cloned().unwrap_or_default();
        let repository = of("repository");
        let subject = match self.job.environment() {
            Some(environment) => format!("repo:{repository}:environment:{environment}"),
            None if self.event == "pull_request" => format!("repo:{repository}:pull_request"),
            None => format!("repo:{repository}:ref:{}", of("ref")),
        };
        let claims = json!({
            "sub": subject,
            "repository": repository,
            "repository_owner": of("repository_owner"),
            "ref": of("ref"),
            "ref_type": "branch",
            "sha": of("sha"),
            "workflow": of("workflow"),
            "job_workflow_ref": format!("{repository}/.github/workflows/{}.yml@{}", of("workflow"), of("ref")),
            "event_name": self.event,
            "environment": self.job.environment(),
            "actor": of("actor"),
            "run_id": of("run_id"),
            "run_attempt": of("run_attempt"),
            "runner_environment": "self-hosted",
        });
        claims.as_object().cloned().unwrap_or_default()
    }

    fn given(&self, name: &str) -> Option<String> {
        let value: Option<&SecretString> = self.file.get(name).filter(|value| !value.expose_secret().is_empty());
        value.map(|value| value.expose_secret().to_owned())
    }

    fn token(&self) -> Option<String> {
        self.given("GITHUB_TOKEN").or_else(|| self.given("GH_TOKEN"))
    }
}

impl Contexts for JobContexts<'_> {
    fn value(&self, path: &str) -> Result<Option<String>> {
        let parts: Vec<&str> = path.split('.').collect();
        Ok(match parts.as_slice() {
            ["github", "token"] | ["secrets", "GITHUB_TOKEN"] => self.token(),
            ["github", "event_name"] => Some(self.event.to_owned()),
            // A pull request here is one of the same repository.
            ["github", "event", "pull_request", "head", "repo", "full_name"] => {
                self.known.github.get("repository").cloned()
            }
            ["github", "event", "release", "tag_name"] if self.event == "release" => Some(self.known.tag.to_owned()),
            ["github", "event", ..] => None,
            ["github", name] => self.known.github.get(name).cloned(),
            ["secrets" | "vars", name] => self.given(name),
            ["inputs", name] => self.known.inputs.get(*name).cloned(),
            ["needs", job, "outputs", name] => {
                self.before.iter().find(|ended| ended.job == **job).and_then(|ended| ended.outputs.get(*name)).cloned()
            }
            ["steps", step, "outputs", name] => self.steps.get(*step).and_then(|outputs| outputs.get(*name)).cloned(),
            _ => return Err(anyhow!("`ci run` does not know the context {path}")),
        })
    }

    fn has_failed(&self) -> bool {
        self.failed
    }
}
