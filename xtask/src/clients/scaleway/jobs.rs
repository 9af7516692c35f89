//! Serverless Jobs: a job definition has an image and settings, and each start of it is a job run (`scaleway-sdk-go`,
//! api/jobs/v1alpha2).

use std::collections::BTreeMap;

use jiff::Timestamp;
use reqwest::Method;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Result, is_id};

/// The jobs of one region.
pub struct Jobs(Api);

/// What a job is made of.
pub struct NewJob<'a> {
    pub name: &'a str,
    pub description: &'a str,
    /// The project that it belongs to.
    pub project: &'a str,
    /// The image, with its digest.
    pub image: &'a str,
    /// In place of the image's entry point; none: the image's own.
    pub startup_command: &'a [String],
    /// The arguments of that, as the program gets them.
    pub args: &'a [String],
    /// Settings that are not secret.
    pub variables: &'a BTreeMap<String, String>,
    /// Thousandths of a processor.
    pub mvcpu: u64,
    pub memory_mib: u64,
    pub storage_mib: u64,
    /// After that many seconds the platform ends a run.
    pub timeout: u64,
}

/// A job definition.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Definition {
    /// A UUID.
    pub id: String,
    pub name: String,
}

/// One start of a job.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct JobRun {
    /// A UUID.
    pub id: String,
    /// `initialized`, `validated`, `queued`, `running`, `succeeded`, `failed`, `interrupting`, `interrupted`.
    pub state: String,
    /// Why it failed, such as `exited_with_error` or `memory_usage_exceeded`.
    #[serde(default)]
    pub reason: Option<String>,
    /// The program's exit code, once it has ended.
    #[serde(default)]
    pub exit_code: Option<i32>,
    #[serde(default)]
    pub error_message: Option<String>,
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    #[serde(default)]
    pub terminated_at: Option<Timestamp>,
}

impl JobRun {
    /// Whether it has ended, however.
    pub fn has_ended(&self) -> bool {
        matches!(self.state.as_str(), "succeeded" | "failed" | "interrupted")
    }
}

impl Jobs {
    /// The jobs of a region. `api` is [`super::API`], or an address of this machine in tests.
    pub fn new(api: &str, region: &str, key: &SecretString) -> Result<Self> {
        Ok(Self(Api::new(api, &format!("/serverless-jobs/v1alpha2/regions/{region}/"), key)?))
    }

    /// The definitions of a project whose names begin so.
    pub async fn definitions(&self, project: &str, begin: &str) -> Result<Vec<Definition>> {
        let all: Vec<Definition> = self.0.list("job-definitions", &[("project_id", project)]).await?;
        Ok(all.into_iter().filter(|one| one.name.starts_with(begin) && is_id(&one.id)).collect())
    }

    /// Creates a definition.
    pub async fn create(&self, job: &NewJob<'_>) -> Result<Definition> {
        let body = json!({
            "name": job.name,
            "description": job.description,
            "project_id": job.project,
            "image_uri": job.image,
            "startup_command": escaped(job.startup_command),
            "args": escaped(job.args),
            "environment_variables": job.variables,
            "cpu_limit": job.mvcpu,
            "memory_limit": job.memory_mib,
            "local_storage_capacity": job.storage_mib,
            "job_timeout": format!("{}s", job.timeout),
        });
        self.0.call(Method::POST, "job-definitions", Some(&body), &format!("creating the job {}", job.name)).await
    }

    /// Lets a definition's runs have secrets of Secret Manager, each in a variable: pairs of a variable's name and a secret's id.
    pub async fn refer(&self, definition: &Definition, secrets: &[(&str, &str)]) -> Result<()> {
        let reference = |(name, id): &(&str, &str)| json!({ "secret_manager_id": id, "secret_manager_version": "1", "env_var_name": name });
        let secrets: Vec<Value> = secrets.iter().map(reference).collect();
        let body = json!({ "job_definition_id": definition.id, "secrets": secrets });
        let what = format!("giving the job {} its secrets", definition.name);
        self.0.call::<Value>(Method::POST, "secrets", Some(&body), &what).await.map(drop)
    }

    /// Starts a run. Never starts two: a request whose answer was lost is not sent again.
    pub async fn start(&self, definition: &Definition) -> Result<JobRun> {
        let what = format!("starting the job {}", definition.name);
        let path = format!("job-definitions/{}/start", definition.id);
        let started = match self.0.send_once(Method::POST, &path, &json!({})).await {
            Ok(response) if response.status.is_success() => self.0.read::<Started>(&response, &what),
            Ok(response) => Err(self.0.failed(&response, &what)),
            Err(error) => Err(error),
        };
        let error = match started {
            Ok(started) => match started.job_runs.into_iter().find(|run| is_id(&run.id)) {
                Some(run) => return Ok(run),
                None => self.0.other(&what, "the response names no run".to_owned()),
            },
            Err(error) => error,
        };
        // It may have been started all the same.
        self.runs(definition).await.ok().and_then(|runs| runs.into_iter().next()).ok_or(error)
    }

    /// The runs of a definition.
    pub async fn runs(&self, definition: &Definition) -> Result<Vec<JobRun>> {
        let runs: Vec<JobRun> = self.0.list("job-runs", &[("job_definition_id", &definition.id)]).await?;
        Ok(runs.into_iter().filter(|run| is_id(&run.id)).collect())
    }

    /// A run as it is now.
    pub async fn run(&self, run: &JobRun) -> Result<JobRun> {
        let id = &run.id;
        self.0.call(Method::GET, &format!("job-runs/{id}"), None, &format!("reading the job run {id}")).await
    }

    /// Asks the platform to stop a run. It goes on for a moment.
    pub async fn stop(&self, run: &JobRun) -> Result<()> {
        let (id, what) = (&run.id, format!("stopping the job run {}", run.id));
        self.0.call::<Value>(Method::POST, &format!("job-runs/{id}/stop"), Some(&json!({})), &what).await.map(drop)
    }

    /// Deletes a definition, if it is still there.
    pub async fn delete(&self, definition: &Definition) -> Result<()> {
        let what = format!("deleting the job {}", definition.name);
        self.0.delete(&format!("job-definitions/{}", definition.id), &what).await
    }
}

#[derive(Deserialize)]
struct Started {
    job_runs: Vec<JobRun>,
}

/// The platform replaces `$(NAME)` in arguments by variables, as Kubernetes does: there `$$` is a dollar sign. Without this a secret
/// could get into the arguments.
fn escaped(args: &[String]) -> Vec<String> {
    let escape = |arg: &String| {
        let mut text = String::with_capacity(arg.len());
        let mut rest = arg.chars().peekable();
        while let Some(c) = rest.next() {
            text.push(c);
            if c == '$' && matches!(rest.peek(), Some('(' | '$')) {
                text.push('$');
            }
        }
        text
    };
    args.iter().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_argument_is_replaced_by_a_variable() {
        let args = ["$(SECRET)", "$$(SECRET)", "$HOME", "a$", "$$", "plain"].map(str::to_owned);
        assert_eq!(escaped(&args), ["$$(SECRET)", "$$$$(SECRET)", "$HOME", "a$", "$$$", "plain"]);
    }
}
