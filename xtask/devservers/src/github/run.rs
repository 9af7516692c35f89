//! What a started run does, by a function of the test.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::Value;

use super::Inner;

/// What a workflow's run does, on a thread of its own. It has failed if it panics.
pub type Callback = Arc<dyn Fn(&Run) + Send + Sync>;

/// A run that has been started.
pub struct Run {
    pub(super) inner: Arc<Inner>,
    pub(super) repository: (String, String),
    pub id: u64,
}

impl Run {
    /// The run as the API shows it.
    pub fn value(&self) -> Value {
        let found = self.inner.with(&self.repository, |repository| {
            repository.workflows.runs.iter().find(|run| run["id"] == self.id).cloned()
        });
        found.expect("the run exists")
    }

    /// What the event that started it carries: `inputs` of a dispatch, `release`.
    pub fn payload(&self) -> Value {
        self.inner.with(&self.repository, |repository| repository.workflows.payload(self.id))
    }

    /// The address of the API.
    pub fn url(&self) -> String {
        self.inner.urls().api.clone()
    }

    /// Starts a job: its id.
    pub fn job(&self, name: &str) -> u64 {
        self.inner.with(&self.repository, |repository| repository.start_job(self.id, name))
    }

    /// Starts a step of a job, or ends it with a conclusion.
    pub fn step(&self, job: u64, name: &str, conclusion: Option<&str>) {
        self.inner.with(&self.repository, |repository| repository.step(job, name, conclusion));
    }

    /// Adds a line to a job's log.
    pub fn log(&self, job: u64, line: &str) {
        self.inner.with(&self.repository, |repository| repository.log(job, line));
    }

    /// Ends a job with `success`, `failure`, …
    pub fn finish_job(&self, job: u64, conclusion: &str) {
        self.inner.with(&self.repository, |repository| repository.finish_job(job, conclusion));
    }

    /// Ends the run, with the jobs that have not ended.
    pub fn finish(&self, conclusion: &str) {
        self.inner.with(&self.repository, |repository| repository.finish(self.id, conclusion));
    }

    /// Does on a thread what the workflow does. A run that the function has not ended has succeeded.
    pub(super) fn begin(self, does: Callback) {
        std::thread::spawn(move || {
            let failed = catch_unwind(AssertUnwindSafe(|| does(&self))).is_err();
            if self.value()["status"] != "completed" {
                self.finish(if failed { "failure" } else { "success" });
            }
        });
    }
}
