//! From a release to one that serves. Whatever goes wrong on the way, the previous release serves afterwards, or the failure
//! says that it does not. A deploy and a rollback end in it.

use anyhow::anyhow;

use super::approval::Approval;
use super::asked::Asked;
use super::changes::{Plan, no_way_back};
use super::gate::gate;
use super::hosts;
use super::run::Run;
use super::watch::watch;
use crate::failure::{Failure, Untouched};
use crate::release::{Release, Settings};
use crate::report::Step;
use crate::state::history::{Outcome, Record};
use crate::targets::{Switched, Target};

/// A release that serves, and was verified.
#[derive(Clone, Debug)]
pub struct Live {
    /// The version.
    pub version: String,
    /// Where people reach it.
    pub address: String,
    /// Features that the service says are off, by name, with the reason.
    pub features_off: Vec<(String, String)>,
}

/// Starts the release, verifies it and lets it take over; restores the previous one where that fails.
pub async fn roll_out(run: &Run<'_>, release: &Release, settings: &Settings, plan: &Plan) -> Result<Live, Failure> {
    let asked = Asked::new(&run.env.report);
    let done = match switched_earlier(run, release).await? {
        Some(live) => Ok(live),
        None => start_and_watch(run, release, settings, plan, &asked).await,
    };
    match done {
        Ok(live) => {
            run.held(hosts::note(run)).await;
            run.note(|record| {
                record.address = Some(live.address.clone());
                record.end(Outcome::Live, None);
            });
            Ok(live)
        }
        Err(Failure::Failed(error)) if error.is::<Untouched>() => Err(Failure::Failed(error)),
        Err(Failure::Failed(error)) => {
            run.note(|record| record.answers = asked.lines());
            run.held(run.keep_log()).await;
            let failure = restore(run, release, settings, plan, error).await;
            run.held(hosts::note(run)).await;
            Err(failure)
        }
        Err(other) => Err(other),
    }
}

/// What going back to a release changes: on a stack, what OpenTofu plans with the stack's files of the release's commit.
pub async fn plan_back(
    run: &Run<'_>,
    from: &str,
    release: &Release,
    settings: &Settings,
    approval: Approval<'_>,
) -> Result<Plan, Failure> {
    let plan = Plan::back(from, release.version());
    if !run.target.has_stack() {
        return Ok(plan);
    }
    let planned = run.critical(Step::Plan, async |step, stop| {
        let stack = run.target.plan(release, settings, approval.digest(), step, stop).await?;
        Ok(Plan { stack, ..plan })
    });
    planned.await
}

/// Copies what is known of a release into its record.
pub fn record_release(record: &mut Record, release: &Release, plan: &Plan) {
    record.source = Some(release.published.source.clone());
    record.digest = Some(release.published.digest.clone());
    record.migrations.clone_from(&release.published.migrations);
    record.way_back.clone_from(&plan.way_back);
    record.plan.clone_from(&plan.lines);
    record.settings.clone_from(&release.settings);
    record.secrets.clone_from(&release.secrets);
    record.inputs = Some(release.inputs.clone());
}

/// The release with this id, if it serves and is ready in this version.
pub async fn is_serving(target: &Target<'_>, id: &str, version: &str) -> Result<Option<Live>, Failure> {
    let Some(serving) = target.serving().await?.filter(|serving| serving.id == id) else { return Ok(None) };
    let Some(readiness) = serving.ready_as(version).await else { return Ok(None) };
    let features_off = readiness.features_off();
    Ok(Some(Live { version: version.to_owned(), address: serving.address, features_off }))
}

/// The release, if an interrupted run switched but did not write its record.
async fn switched_earlier(run: &Run<'_>, release: &Release) -> Result<Option<Live>, Failure> {
    // With other settings it is not what is asked for now.
    let switched: Option<String> = run.recall(Step::Switch, &(&release.published.digest, &release.inputs)).await?;
    if switched != Some(run.id()) {
        return Ok(None);
    }
    let live = is_serving(run.target, &run.id(), release.version()).await?;
    if let Some(live) = &live {
        run.env.report.begin(Step::Switch).reuse(&format!("{} answers at {}", live.version, live.address));
    }
    Ok(live)
}

/// Brings the release up and watches it for a while. A request to stop cuts the watch short: the release serves.
async fn start_and_watch(
    run: &Run<'_>,
    release: &Release,
    settings: &Settings,
    plan: &Plan,
    asked: &Asked<'_>,
) -> Result<Live, Failure> {
    let (target, version, time) = (run.target, release.version(), run.env.environment.gate.watch);
    let switched = Box::pin(start_and_switch(run, run.id(), release, settings, plan, asked)).await?;
    hosts::follow(run, release, settings, asked).await?;
    if !time.is_zero() {
        let condition = async || target.condition(&switched).await;
        // Nothing is awaited before or after it: a request to stop would end the run as aborted, although the release serves.
        let watched = run.critical(Step::Watch, async |step, stop| {
            let services = target.services(&switched).await?;
            watch(&services, condition, version, time, asked, step, stop).await
        });
        if let Some(cut) = watched.await?.cut {
            run.env.report.warn(&format!("{cut}: {version} serves, and was not watched to the end"));
        }
    }
    let features_off = switched.readiness.features_off();
    Ok(Live { version: version.to_owned(), address: switched.address, features_off })
}

/// Starts a release beside the one that serves, or in its place, lets it say itself that it is ready, and lets it take over. `id` is
/// its record's.
async fn start_and_switch(
    run: &Run<'_>,
    id: String,
    release: &Release,
    settings: &Settings,
    plan: &Plan,
    asked: &Asked<'_>,
) -> Result<Switched, Failure> {
    let (target, version, limits) = (run.target, release.version(), &run.env.environment.gate);
    run.verify_lease().await?;
    let candidate = run.critical(Step::Apply, async |step, stop| {
        target.apply(id, release, settings, plan.stack.as_ref(), step, stop).await
    });
    let mut candidate = candidate.await?;
    run.live_step(Step::Gate, async |step| gate(&mut candidate, version, limits, asked, step).await).await?;
    if let Some(public) = candidate.public() {
        let verified = run.live_step(Step::Address, async |step| {
            public.verify(version, limits.timeout, |answer| asked.note(&answer), step).await
        });
        verified.await?;
    }
    run.verify_lease().await?; // The last look before what users notice.
    let switched = run.critical(Step::Switch, async |step, stop| {
        let switched = target.switch(candidate, step, stop).await?;
        // It serves, whether or not that could be written to the journal.
        let inputs = (&release.published.digest, &release.inputs);
        if let Err(error) = run.remember(Step::Switch, &inputs, &run.id()).await {
            run.env.report.warn(&format!("{error:#}"));
        }
        Ok(switched)
    });
    switched.await
}

/// Makes sure that the previous release serves: as it did all along, or started again.
async fn restore(run: &Run<'_>, release: &Release, settings: &Settings, plan: &Plan, error: anyhow::Error) -> Failure {
    let text = format!("{error:#}");
    let Some(previous) = run.live() else {
        run.note(|record| record.end(Outcome::NotRestored, Some(text)));
        return Failure::NotRestored(
            error.context("the release is not healthy, and there is no previous one to go back to"),
        );
    };
    let version = previous.version();
    // The failed release may have taken the previous one's place. What answers of the latter is about to end.
    let restored = match hosts::go_back(run, previous, settings).await {
        Some(restored) => restored,
        None => {
            let serves = !run.target.takes_the_place()
                && run.live_step(Step::Restore, async |_| still_serves(run.target, previous).await).await.is_ok();
            if serves { Ok(()) } else { start_again(run, release, previous, settings).await }
        }
    };
    match restored {
        Ok(()) => {
            // The service migrates when it starts, so an unhealthy release may have done it all the same.
            let across = no_way_back(&release.published.migrations, plan.way_back.as_ref(), previous);
            if !across.is_empty() {
                run.env.report.warn(&format!(
                    "{} may have been applied, and {version} may not start again on that schema: deploy a fixed release soon",
                    across.join(", ")
                ));
            }
            run.note(|record| record.end(Outcome::Restored, Some(text)));
            Failure::Restored(error.context(format!("the release is not healthy; {version} serves as before")))
        }
        Err(Failure::Aborted(error)) => Failure::Aborted(
            error.context(format!("the release is not healthy ({text}), and {version} was being restored")),
        ),
        Err(not) => {
            let not = not.into_error();
            run.note(|record| record.end(Outcome::NotRestored, Some(format!("{text}; restoring failed: {not:#}"))));
            let both = format!("the release is not healthy, and {version} could not be restored: {not:#}");
            Failure::NotRestored(error.context(both))
        }
    }
}

/// Fails when the release of a record does not serve, ready.
async fn still_serves(target: &Target<'_>, record: &Record) -> Result<Switched, Failure> {
    let version = record.version();
    let serving = target.serving().await?.filter(|serving| serving.id == record.id);
    let serving = serving.ok_or_else(|| anyhow!("{version} does not run"))?;
    let readiness = serving.ready_as(version).await;
    let readiness = readiness.ok_or_else(|| anyhow!("{version} runs and is not ready"))?;
    Ok(Switched { address: serving.address, readiness, watched: None })
}

async fn start_again(run: &Run<'_>, failed: &Release, previous: &Record, settings: &Settings) -> Result<(), Failure> {
    let published = run.target.published(previous).await?;
    let settings = settings.with_plain(&previous.settings);
    let release = Release::new(published, &settings)?;
    // What is applied again was approved when it was deployed; what is protected stays so.
    let plan = Box::pin(plan_back(run, failed.version(), &release, &settings, Approval::Ask)).await?;
    plan.guard()?;
    let asked = Asked::new(&run.env.report);
    Box::pin(start_and_switch(run, previous.id.clone(), &release, &settings, &plan, &asked)).await.map(drop)
}
