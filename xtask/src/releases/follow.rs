//! Watching the workflow that a promotion starts.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::WORKFLOW;
use crate::clients::github::{GitHub, Job, Release, WorkflowRun};
use crate::failure::Failure;
use crate::report::{Ongoing, Report, Summary};

/// How long GitHub may take to start the workflow.
const STARTS_WITHIN: Duration = Duration::from_secs(120);
/// Between two questions. A token has 5000 an hour.
const PAUSE: Duration = Duration::from_secs(5);
/// How many of a log's last lines are shown.
const TAIL: usize = 30;
/// How far GitHub's clock may be behind this one.
const SKEW: Duration = Duration::from_secs(60);

/// A run that ended well.
pub struct Followed(pub WorkflowRun);

impl Summary for Followed {
    fn summary(&self) -> String {
        format!("{}: {}", self.0.name.as_deref().unwrap_or("the workflow"), self.0.html_url)
    }
}

/// Waits for the workflow that a promotion at this time started, and for its end. Shows its jobs and steps meanwhile, and of a job
/// that fails the end of its log.
pub async fn follow(
    github: &GitHub,
    release: &Release,
    commit: &str,
    promoted: Timestamp,
    report: &Report,
    step: &Ongoing,
) -> Result<Followed, Failure> {
    let run = started(github, release, commit, promoted, step).await?;
    report.note(&format!("the workflow runs: {}", run.html_url));
    let (mut ended, mut waits) = (BTreeSet::new(), false);
    loop {
        let (run, jobs) =
            tokio::try_join!(github.workflow_run(run.id), github.jobs(run.id)).context("follow the workflow")?;
        for job in &jobs {
            show(job, &mut ended, report, step);
        }
        if run.status == "waiting" && !waits {
            report.note(&format!("the workflow waits for an approval: {}", run.html_url));
        }
        waits = run.status == "waiting";
        if run.status == "completed" {
            return end(github, run, &jobs, report).await;
        }
        sleep(PAUSE).await;
    }
}

/// The run that the promotion started.
async fn started(
    github: &GitHub,
    release: &Release,
    commit: &str,
    promoted: Timestamp,
    step: &Ongoing,
) -> Result<WorkflowRun, Failure> {
    let (tag, began) = (&release.tag_name, Instant::now());
    loop {
        let runs = github.runs_of("release", commit).await.context("look for the workflow that deploys the release")?;
        let is_own = |run: &WorkflowRun| {
            // Others may start with a release, too.
            run.file() == WORKFLOW
                && run.created_at >= promoted - SKEW
                && run.head_branch.as_ref().is_none_or(|branch| branch == tag)
        };
        if let Some(run) = runs.into_iter().find(is_own) {
            return Ok(run);
        }
        if began.elapsed() > STARTS_WITHIN {
            return Err(Failure::Failed(anyhow!(
                "the release {tag} was promoted, and GitHub started no workflow for it within {} s\n  \
                 check that {WORKFLOW} is in the commit and that Actions are allowed: {}",
                STARTS_WITHIN.as_secs(),
                release.html_url
            )));
        }
        step.progress("waiting for GitHub to start the workflow");
        sleep(PAUSE).await;
    }
}

/// Shows the steps of a job that have ended since the last time, and what it does now.
fn show(job: &Job, ended: &mut BTreeSet<String>, report: &Report, step: &Ongoing) {
    for (index, one) in job.steps.iter().enumerate() {
        let what = format!("{}: {}", job.name, one.name);
        match (one.status.as_str(), one.conclusion.as_deref()) {
            ("completed", Some("skipped")) => {}
            ("completed", how) if ended.insert(format!("{}/{index}", job.id)) => match how {
                Some("success") => report.note(&format!("✓ {what}")),
                how => report.note(&format!("✗ {what} ({})", how.unwrap_or("unknown"))),
            },
            ("in_progress", _) => step.progress(&what),
            _ => {}
        }
    }
}

async fn end(github: &GitHub, run: WorkflowRun, jobs: &[Job], report: &Report) -> Result<Followed, Failure> {
    if run.conclusion.as_deref() == Some("success") {
        return Ok(Followed(run));
    }
    let bad = |job: &&Job| !matches!(job.conclusion.as_deref(), Some("success" | "skipped" | "neutral"));
    let mut what = Vec::new();
    for job in jobs.iter().filter(bad) {
        let how = job.conclusion.as_deref().unwrap_or("did not end");
        what.push(format!("{} ({how})", job.name));
        match github.job_log(job).await {
            Ok(log) => {
                report.note(&format!("the end of the log of {}:", job.name));
                let lines: Vec<&str> = log.lines().collect();
                for line in &lines[lines.len().saturating_sub(TAIL)..] {
                    report.detail(without_time(line));
                }
            }
            Err(error) => report.warn(&format!("the log of {} cannot be shown: {error}", job.name)),
        }
    }
    let (how, url) = (run.conclusion.as_deref().unwrap_or("unknown"), &run.html_url);
    Err(Failure::Failed(anyhow!("the workflow ended with {how}: {}\n  see {url}", what.join(", "))))
}

/// A line of a log, which begins with a time.
fn without_time(line: &str) -> &str {
    let line = line.trim_start_matches('\u{feff}');
    match line.split_once(' ') {
        Some((time, rest)) if time.parse::<Timestamp>().is_ok() => rest,
        _ => line,
    }
}
