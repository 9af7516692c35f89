//! Jobs of workflow runs, their steps and logs.

use serde_json::{Value, json};

use super::answer::{Answer, Outcome};
use super::call::{Call, by_id, node, now};
use super::repository::Repository;
use super::route::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::new("GET", "/actions/runs/{run_id}/jobs", "actions:read", list),
    Route::new("GET", "/actions/jobs/{job_id}", "actions:read", get),
    Route::new("GET", "/actions/jobs/{job_id}/logs", "actions:read", logs),
];

/// A job and its log.
pub(super) struct Job {
    pub value: Value,
    pub log: String,
}

impl Repository {
    /// Starts a job of a run. It is a check of the commit too, with the same id, in the suite of the run.
    pub fn start_job(&mut self, run: u64, name: &str) -> u64 {
        let found = self.workflows.runs.iter_mut().find(|found| found["id"] == run).expect("the run exists");
        (found["status"], found["updated_at"]) = ("in_progress".into(), now().into());
        let found = found.clone();
        let sha = found["head_sha"].as_str().unwrap_or_default();
        let id = self.add_check(name, sha, found["check_suite_id"].as_u64(), &json!({"status": "in_progress"}));
        let value = json!({
            "id": id, "run_id": run, "run_url": found["url"], "run_attempt": found["run_attempt"],
            "node_id": node("CR", id), "head_sha": found["head_sha"], "url": self.url(&format!("/actions/jobs/{id}")),
            "html_url": self.html(&format!("/actions/runs/{run}/job/{id}")), "status": "in_progress", "conclusion": null,
            "created_at": now(), "started_at": now(), "completed_at": null, "name": name, "steps": [],
            "check_run_url": self.url(&format!("/check-runs/{id}")), "labels": ["ubuntu-latest"], "runner_id": 1,
            "runner_name": "GitHub Actions 1", "runner_group_id": 0, "runner_group_name": "GitHub Actions",
            "workflow_name": found["name"], "head_branch": found["head_branch"],
        });
        self.workflows.jobs.push(Job { value, log: String::new() });
        id
    }

    /// Starts a step of a job; what it prints goes to the job's log. A step that is there already gets this conclusion.
    pub fn step(&mut self, job: u64, name: &str, conclusion: Option<&str>) {
        let steps = self.job(job).value["steps"].as_array_mut().expect("a job has steps");
        let number = steps.len() + 1;
        if steps.iter().all(|step| step["name"] != name) {
            steps.push(json!({
                "name": name, "number": number, "status": "in_progress", "conclusion": null, "started_at": now(),
                "completed_at": null,
            }));
        }
        let step = steps.iter_mut().find(|step| step["name"] == name).expect("the step was added");
        if let Some(conclusion) = conclusion {
            (step["status"], step["conclusion"]) = ("completed".into(), conclusion.into());
            step["completed_at"] = now().into();
        }
    }

    /// Adds a line to a job's log.
    pub fn log(&mut self, job: u64, line: &str) {
        let line = format!("{} {line}\n", now());
        self.job(job).log.push_str(&line);
    }

    /// Ends a job.
    pub fn finish_job(&mut self, job: u64, conclusion: &str) {
        let job = &mut self.job(job).value;
        (job["status"], job["conclusion"]) = ("completed".into(), conclusion.into());
        job["completed_at"] = now().into();
        let id = job["id"].as_u64().unwrap_or(0);
        self.checks.conclude(id, conclusion);
    }

    /// Ends a run, with the jobs that have not ended.
    pub fn finish(&mut self, run: u64, conclusion: &str) {
        let open = self.workflows.jobs.iter().map(|job| &job.value);
        let open = open.filter(|job| job["run_id"] == run && job["status"] != "completed");
        let open: Vec<u64> = open.filter_map(|job| job["id"].as_u64()).collect();
        for job in open {
            self.finish_job(job, conclusion);
        }
        if let Ok(run) = by_id(&mut self.workflows.runs, run) {
            (run["status"], run["conclusion"]) = ("completed".into(), conclusion.into());
            run["updated_at"] = now().into();
        }
    }

    fn job(&mut self, id: u64) -> &mut Job {
        self.workflows.jobs.iter_mut().find(|job| job.value["id"] == id).expect("the job exists")
    }
}

fn list(call: &Call, repository: &mut Repository) -> Outcome {
    let run = by_id(&mut repository.workflows.runs, call.id("run_id")?)?;
    let (id, attempt) = (run["id"].clone(), run["run_attempt"].clone());
    let all = call.query("filter") == Some("all");
    let jobs = repository.workflows.jobs.iter().map(|job| &job.value);
    let jobs = jobs.filter(|job| job["run_id"] == id && (all || job["run_attempt"] == attempt));
    Ok(Answer::counted(call, "jobs", jobs.cloned().collect()))
}

fn get(call: &Call, repository: &mut Repository) -> Outcome {
    let id = call.id("job_id")?;
    let job = repository.workflows.jobs.iter().find(|job| job.value["id"] == id).ok_or_else(Answer::not_found)?;
    Ok(Answer::ok(job.value.clone()))
}

/// GitHub has no log of a job that still runs.
fn logs(call: &Call, repository: &mut Repository) -> Outcome {
    let id = call.id("job_id")?;
    let mut ended = repository.workflows.jobs.iter().filter(|job| job.value["status"] == "completed");
    ended.find(|job| job.value["id"] == id).ok_or_else(Answer::not_found)?;
    let path = format!("/logs/{}/{}/{id}", repository.owner, repository.name);
    Ok(Answer::redirect(&format!("{}{path}?signature=valid", repository.urls.objects)))
}
