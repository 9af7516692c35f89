//! Runs of workflows, their jobs and the logs of those.

use jiff::Timestamp;
use serde::Deserialize;

use super::releases::encoded;
use super::{GitHub, Result};

/// A run of a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct WorkflowRun {
    /// For the API.
    pub id: u64,
    /// The workflow's name.
    pub name: Option<String>,
    /// The workflow's file, such as `.github/workflows/deploy.yml`; a ref may stand behind it, after `@`.
    pub path: String,
    /// The suite of checks that its jobs are.
    pub check_suite_id: Option<u64>,
    /// The event that started it.
    pub event: String,
    /// `queued`, `waiting` (for a person), `in_progress`, `completed`, …
    pub status: String,
    /// `success` or how else it ended; none before.
    pub conclusion: Option<String>,
    /// The tag or branch.
    pub head_branch: Option<String>,
    /// When it was started.
    pub created_at: Timestamp,
    /// Its page.
    pub html_url: String,
}

/// A job of a run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Job {
    /// For the API.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// As of a run.
    pub status: String,
    /// As of a run.
    pub conclusion: Option<String>,
    /// Its steps, in their order; empty before it begins.
    #[serde(default)]
    pub steps: Vec<JobStep>,
}

/// A step of a job.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct JobStep {
    /// Its name.
    pub name: String,
    /// As of a run.
    pub status: String,
    /// As of a run.
    pub conclusion: Option<String>,
}

impl WorkflowRun {
    /// The workflow's file alone.
    pub fn file(&self) -> &str {
        self.path.split('@').next().unwrap_or_default()
    }
}

impl GitHub {
    /// Every run of a workflow for a commit, newest first.
    pub async fn workflow_runs_of(&self, commit: &str) -> Result<Vec<WorkflowRun>> {
        let path = format!("/actions/runs?head_sha={}", encoded(commit));
        self.list(&path, Some("workflow_runs"), "listing the runs of workflows").await
    }

    /// The newest runs that an event started for a commit, newest first; at most one page.
    pub async fn runs_of(&self, event: &str, commit: &str) -> Result<Vec<WorkflowRun>> {
        #[derive(Deserialize)]
        struct Answer {
            workflow_runs: Vec<WorkflowRun>,
        }
        let path = format!("/actions/runs?event={}&head_sha={}&per_page=30", encoded(event), encoded(commit));
        Ok(self.get::<Answer>(&path, "listing the runs of workflows").await?.workflow_runs)
    }

    /// One run.
    pub async fn workflow_run(&self, id: u64) -> Result<WorkflowRun> {
        self.get(&format!("/actions/runs/{id}"), "reading the run of a workflow").await
    }

    /// The jobs of a run's last attempt.
    pub async fn jobs(&self, run: u64) -> Result<Vec<Job>> {
        self.list(&format!("/actions/runs/{run}/jobs?filter=latest"), Some("jobs"), "listing the jobs of a run").await
    }

    /// The log of a job that has ended.
    pub async fn job_log(&self, job: &Job) -> Result<String> {
        let what = format!("reading the log of {}", job.name);
        let bytes =
            self.download(&format!("/actions/jobs/{}/logs", job.id), "application/vnd.github+json", &what).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
