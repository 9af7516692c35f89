//! Runs jobs of the rendered workflows on this machine: the steps that run the toolkit, in their order, in a clone of the last commit,
//! with the names of the environment that the job has at GitHub and nothing of the user's own environment.

mod checkout;
mod contexts;
mod expression;
mod files;
mod job;
mod oidc;
mod workflow;

use std::collections::BTreeMap;

use anyhow::anyhow;

use self::checkout::Checkout;
use self::contexts::{JobContexts, Known};
use self::job::run_job;
pub use self::workflow::{Job, Step, Workflow};
use crate::config::Config;
use crate::failure::Failure;
use crate::report::Report;

/// What to run.
pub struct Request<'a> {
    /// The name of a workflow.
    pub workflow: &'a str,
    /// One of its jobs; by default those that the event starts.
    pub job: Option<&'a str>,
    /// The event that starts it; by default the first one that starts the job, or the workflow.
    pub event: Option<&'a str>,
    /// Run the steps too that do not run the toolkit.
    pub all_steps: bool,
    /// The inputs of a run by hand.
    pub inputs: BTreeMap<String, String>,
    /// What the steps have beside the variables of a runner.
    pub variables: BTreeMap<String, String>,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The job's id.
    pub job: String,
    /// Its steps in their order: the title, and how each ended.
    pub steps: Vec<(String, Outcome)>,
    /// What it hands to other jobs.
    pub outputs: BTreeMap<String, String>,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeded.
    Done,
    /// It failed.
    Failed(String),
    /// It was not run, and why.
    Skipped(&'static str),
}

impl Ended {
    /// Why it failed, if it did: the step, and its error.
    pub fn failure(&self) -> Option<(&str, &str)> {
        self.steps.iter().find_map(|(title, outcome)| match outcome {
            Outcome::Failed(error) => Some((title.as_str(), error.as_str())),
            Outcome::Done | Outcome::Skipped(_) => None,
        })
    }
}

/// Runs the jobs, each after those that it needs. A job that needs one that failed or did not run is left out.
pub async fn run(config: &Config, report: &Report, request: &Request<'_>) -> Result<Vec<Ended>, Failure> {
    let workflows = Workflow::all(&config.root)?;
    let names: Vec<&str> = workflows.iter().map(|workflow| workflow.name.as_str()).collect();
    let unknown =
        || Failure::Usage(anyhow!("there is no workflow {}; there are: {}", request.workflow, names.join(", ")));
    let workflow = workflows.iter().find(|workflow| workflow.name == request.workflow).ok_or_else(unknown)?;
    let jobs = workflow.jobs()?;
    let ids = || jobs.iter().map(|job| job.id.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(wanted) = request.job
        && !jobs.iter().any(|job| job.id == wanted)
    {
        return Err(Failure::Usage(anyhow!("{} has no job {wanted}; it has: {}", workflow.name, ids())));
    }
    let events = workflow.events();
    if let Some(event) = request.event.filter(|event| !events.contains(event)) {
        return Err(Failure::Usage(anyhow!(
            "{event} does not start {}; these do: {}",
            workflow.name,
            events.join(", ")
        )));
    }
    let inputs = workflow.inputs();
    if let Some(name) = request.inputs.keys().find(|name| !inputs.contains(&name.as_str())) {
        let has = if inputs.is_empty() { "it has none".to_owned() } else { format!("it has: {}", inputs.join(", ")) };
        return Err(Failure::Usage(anyhow!("{} has no input {name}; {has}", workflow.name)));
    }
    let checkout = Checkout::make(&config.root).await?;
    let known = Known::new(config, &checkout, workflow, request)?;
    let candidates: Vec<&str> = request.event.map_or(events, |event| vec![event]);
    let mut ended: Vec<Ended> = Vec::new();
    for job in wanted(&jobs, request.job) {
        let event = candidates.iter().copied().find(|event| {
            JobContexts::new(&known, job, event, &ended).is_ok_and(|contexts| contexts.starts().unwrap_or(false))
        });
        let Some(event) = event else {
            // A condition that is not understood is said, not taken as one that does not hold.
            JobContexts::new(&known, job, candidates.first().copied().unwrap_or_default(), &ended)?.starts()?;
            report.note(&format!("{}: not run, its condition does not hold", job.id));
            if request.job == Some(job.id.as_str()) {
                let condition = job.condition.as_deref().unwrap_or("the jobs that it needs");
                return Err(anyhow!("{} does not start here: {}", job.id, condition.trim()).into());
            }
            continue;
        };
        report.note(&format!("{} of {}, as for {event}", job.id, workflow.name));
        let contexts = JobContexts::new(&known, job, event, &ended)?;
        ended.push(run_job(&known, job, contexts, &checkout, report, request.all_steps).await?);
    }
    Ok(ended)
}

/// A job that was asked for, after those whose outputs it takes; without one, all.
fn wanted<'a>(jobs: &'a [Job], one: Option<&str>) -> Vec<&'a Job> {
    let Some(one) = one else { return jobs.iter().collect() };
    let mut ids = vec![one.to_owned()];
    // Jobs stand after those that they need.
    for job in jobs.iter().rev() {
        if ids.contains(&job.id) && job.takes_outputs() {
            ids.extend(job.needs().into_iter().map(str::to_owned));
        }
    }
    jobs.iter().filter(|job| ids.contains(&job.id)).collect()
}
