//! `run` on a stack: a job of the platform, followed to its end.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use serde_json::json;

use super::live;
use crate::deploy::run::take_lease;
use crate::env::Env;
use crate::failure::Failure;
use crate::report::{Ongoing, Step};
use crate::targets::Log;
use crate::targets::stack::{Ended, Inputs, Job, Place, Stack};

/// Between two questions for the job's state and its lines.
const POLL: Duration = Duration::from_secs(1);
/// How long the platform's API may be away.
const AWAY: Duration = Duration::from_secs(60);
/// How long a job may take to end once it was told to.
const STOPPING: Duration = Duration::from_secs(60);
/// Lines reach Cockpit some seconds after they were written: how long the last ones are waited for.
const LATE: Duration = Duration::from_secs(5);

/// Runs the released image once with these arguments.
pub async fn run(env: &Env<'_>, stack: &Stack<'_>, args: &[String]) -> Result<(), Failure> {
    let prepare = async {
        let record = live(env).await?;
        let published = stack.published(&record).await?;
        stack.job(&record, &published).await
    };
    let (place, inputs) = env.stop.cancels("nothing was started", Box::pin(prepare)).await?;
    let lease = take_lease(env, format!("run {}", env.name())).await?; // Locked → 20
    let begun = begin(env, &place, &inputs, args).await;
    if let Err(error) = lease.release().await {
        env.report.warn(&format!("{error:#}"));
    }
    let ended = match begun {
        Ok(job) => follow(env, stack, &place, job).await,
        Err(failure) => Err(failure),
    };
    // Also after a failure.
    if let Err(error) = place.clear().await {
        env.report
            .warn(&format!("what was made for the job could not be deleted: {error:#}\n  the next `run` deletes it"));
    }
    ended
}

/// Starts the job, and waits until its program runs.
async fn begin(env: &Env<'_>, place: &Place, inputs: &Inputs, args: &[String]) -> Result<Job, Failure> {
    let start = env.report.step(Step::Provision, async |step| {
        let left = place.clear_leftovers().await?;
        for deleted in left.deleted {
            env.report.note(&format!("deleted {deleted}, which an earlier `run` had left"));
        }
        for running in left.running {
            env.report.warn(&format!(
                "a job of an earlier `run` still runs: {running}; stop it in Scaleway's console if it should not"
            ));
        }
        let mut following = Following { place, job: place.start(inputs, args, step).await?, log: None, away: None };
        while !matches!(following.job.run.state.as_str(), "running" | "interrupting") && following.job.ended().is_none()
        {
            step.progress(&format!("the job is {}", following.job.run.state));
            tokio::time::sleep(POLL).await;
            following.look().await?;
        }
        Ok(following.job)
    });
    env.stop.cancels("the job was stopped", start).await
}

/// Follows the job to its end, and shows its lines.
async fn follow(env: &Env<'_>, stack: &Stack<'_>, place: &Place, job: Job) -> Result<(), Failure> {
    let log = stack.log_of_job(&job)?;
    let (id, shows_lines, began) = (job.run.id.clone(), log.is_some(), Instant::now());
    let mut following = Following { place, job, log, away: None };
    // Lines are not written into a step's live line.
    let ended = if shows_lines {
        following.finish(env, None).await?
    } else {
        env.report.note(&format!(
            "its lines are in {}; to see them here, set COCKPIT_LOGS_URL and COCKPIT_TOKEN in .env.{}",
            place.console(&following.job),
            env.name()
        ));
        let ongoing = env.report.begin(Step::Run);
        let ended = following.finish(env, Some(&ongoing)).await;
        match &ended {
            Ok(ended) => ongoing.finish(&describe(ended)),
            Err(_) => ongoing.fail("failed"),
        }
        ended?
    };
    env.report.result(
        json!({ "job": id, "succeeded": ended.succeeded, "exit_code": ended.code, "reason": ended.why, "seconds": began.elapsed().as_secs() }),
        "",
    );
    match ended.code {
        _ if ended.succeeded => Ok(()),
        Some(code @ 1..=255) => Err(Failure::Ended(code as u8, anyhow!(describe(&ended)))),
        _ => Err(anyhow!("{}\n  see {}", describe(&ended), place.console(&following.job)).into()),
    }
}

/// A job, and what was seen of it.
struct Following<'p> {
    place: &'p Place,
    job: Job,
    log: Option<Log>,
    /// Since when the platform's API has not answered.
    away: Option<Instant>,
}

impl Following<'_> {
    /// Waits until the job has ended. A request to stop stops it.
    async fn finish(&mut self, env: &Env<'_>, step: Option<&Ongoing>) -> Result<Ended, Failure> {
        let signal = tokio::select! {
            ended = self.until_ended(env, step) => return ended,
            signal = env.stop.requested() => signal,
        };
        env.report.note(&format!("{signal}: stopping the job; again to wait no longer"));
        if let Err(error) = self.place.stop(&self.job).await {
            // It may have ended in this moment.
            self.look().await?;
            if self.job.ended().is_none() {
                return Err(error.into());
            }
        }
        let left = tokio::select! {
            ended = self.until_ended(env, step) => match ended? {
                Ended { succeeded: true, .. } => "the job had come to its end",
                _ => "the job was stopped",
            },
            () = tokio::time::sleep(STOPPING) => "the job was told to stop and still runs",
            _ = env.stop.repeated() => "the job was told to stop",
        };
        Err(Failure::Aborted(anyhow!("interrupted by {signal}; {left}")))
    }

    async fn until_ended(&mut self, env: &Env<'_>, step: Option<&Ongoing>) -> Result<Ended, Failure> {
        let ended = loop {
            self.show(env).await;
            if let Some(ended) = self.job.ended() {
                break ended;
            }
            if let Some(step) = step {
                step.progress(&format!("the job is {}", self.job.run.state));
            }
            tokio::time::sleep(POLL).await;
            self.look().await?;
        };
        let mut newest = Instant::now();
        while self.log.is_some() && newest.elapsed() < LATE {
            tokio::time::sleep(POLL).await;
            if self.show(env).await {
                newest = Instant::now();
            }
        }
        Ok(ended)
    }

    /// Asks for the job's state. An API that is away for a moment is asked again.
    async fn look(&mut self) -> Result<()> {
        match self.place.look(&self.job).await {
            Ok(job) => (self.job, self.away) = (job, None),
            Err(error) if self.away.get_or_insert_with(Instant::now).elapsed() > AWAY => return Err(error),
            Err(_) => {}
        }
        Ok(())
    }

    /// Shows the lines that came, and says whether some did. A log that cannot be read is no failure of the job.
    async fn show(&mut self, env: &Env<'_>) -> bool {
        let Some(log) = &mut self.log else { return false };
        match log.more().await {
            Ok((lines, _)) => {
                for line in &lines {
                    env.report.result(json!({ "line": line }), line);
                }
                !lines.is_empty()
            }
            Err(failure) => {
                let why = failure.into_error();
                env.report.warn(&format!(
                    "its lines cannot be read any more: {why:#}\n  see {}",
                    self.place.console(&self.job)
                ));
                self.log = None;
                false
            }
        }
    }
}

fn describe(ended: &Ended) -> String {
    let how = match ended.code {
        Some(code) => format!("the program ended with exit code {code}"),
        None if ended.succeeded => "the program has ended".to_owned(),
        None => "the job failed".to_owned(),
    };
    // `exited_with_error` says nothing more than the code.
    let why = Some(&ended.why).filter(|why| !why.is_empty() && *why != "exited_with_error");
    why.map_or(how.clone(), |why| format!("{how}: {why}"))
}
