//! The stack of the media in a run: planned and applied before the service's, which gets its outputs as settings. It is only rolled
//! forward: a release that fails, and a rollback, leave it as it is, because it has the data of every release.

use std::ops::ControlFlow;

use anyhow::{Context as _, anyhow};

use super::approval::{Approval, approve};
use super::changes::{MediaPlan, Plan};
use super::run::Run;
use crate::config::{MEDIA, Media};
use crate::env::Env;
use crate::failure::Failure;
use crate::release::{MediaSettings, Source};
use crate::report::{Ongoing, Step, Summary};
use crate::signals::Stop;
use crate::state::lease;
use crate::state::plan_store::PlanRecord;
use crate::tofu::plan::{self, Planned, Purpose};
use crate::tofu::unseen::{self, Unseen, Verdict};
use crate::tofu::{self, Workspace, media};

/// How far the media are before the service is planned. It breaks off where the service cannot be planned, because its settings come
/// with this plan.
pub type Before<'r> = ControlFlow<Box<MediaPlan>, Box<Ready<'r>>>;

/// What the service's part of a run goes on with.
pub struct Ready<'r> {
    /// What the stack gives.
    pub settings: MediaSettings,
    /// What is applied before the service, once both are approved. It changes none of the settings.
    pub plan: Option<MediaPlan>,
    /// How the service's own changes are approved.
    pub approval: Approval<'r>,
    /// What was applied already, for the record.
    pub applied: Option<String>,
}

/// Plans the stack of the media, if the environment has one. A plan that changes what the service gets is applied here, because the
/// service cannot be planned without it. `command` is what an approval would be given to.
pub async fn before<'r>(
    run: &Run<'_>,
    source: &Source,
    approval: Approval<'r>,
    command: &str,
) -> Result<Before<'r>, Failure> {
    let (Some(media), Some(env)) = (&run.env.environment.media, run.env.media()) else {
        let (settings, plan, applied) = (MediaSettings::default(), None, None);
        return Ok(Before::Continue(Box::new(Ready { settings, plan, approval, applied })));
    };
    let (env, given) = (&env, approval.digest().map(split));
    // Critical: a plan holds the lock of its state.
    let found = run.critical(Step::Media, async |step, stop| {
        Box::pin(find(env, media, source, given.map(|(first, _)| first), step, stop)).await
    });
    let Found { planned, settings } = found.await?;
    if let Some(planned) = &planned {
        unseen::refuse_exposed(&planned.unseen)?;
        tell(run.env, &planned.unseen);
    }
    let approval = match (given, &planned) {
        (None, _) => approval,
        // The first digest was the one of this plan.
        (Some((_, of_service)), Some(_)) => of_service.map_or(Approval::Ask, Approval::Digest),
        (Some((first, of_service)), None) => Approval::Digest(of_service.unwrap_or(first)),
    };
    if approval.digest().is_some() && !run.target.has_stack() {
        // The service has no plan that this could be compared with.
        return Err(not_kept(run.env.name()));
    }
    let plan = planned.map(|planned| MediaPlan { planned, is_approved: given.is_some() });
    if let Some(settings) = settings {
        return Ok(Before::Continue(Box::new(Ready { settings, plan, approval, applied: None })));
    }
    let plan = plan.context("settings are left out where a plan changes them")?;
    if approval == Approval::PlanOnly {
        return Ok(Before::Break(Box::new(plan)));
    }
    let counts = plan.planned.summary();
    let plan = Plan::of_media(plan);
    approve(run.env, &plan, Approval::Ask, command).await?; // Refused → 21
    let settings = apply(run, &plan, source).await?;
    run.note(|record| record.plan.push(format!("media: {counts}")));
    Ok(Before::Continue(Box::new(Ready { settings, plan: None, approval, applied: Some(counts) })))
}

/// Applies what is planned for the media. Fails if that has changed what the service was planned with.
pub async fn apply_with(run: &Run<'_>, plan: &Plan, source: &Source, with: &MediaSettings) -> Result<(), Failure> {
    if plan.media.is_none() {
        return Ok(());
    }
    let now = apply(run, plan, source).await?;
    let differing = now.differing(with);
    if differing.is_empty() {
        return Ok(());
    }
    Err(Failure::Refused(anyhow!(
        "the stack of the media was applied, and nothing of the service: it gives another {} now than the service was planned with\n  \
         make a new plan: cargo xtask deploy {}",
        differing.join(", "),
        run.env.name()
    )))
}

/// The settings of the stack as it is. Nothing is planned.
pub async fn present(run: &Run<'_>) -> Result<MediaSettings, Failure> {
    if run.env.environment.media.is_none() {
        return Ok(MediaSettings::default());
    }
    run.live_step(Step::Media, async |step| Box::pin(media::settings(run.env, step, &run.env.stop)).await).await
}

/// The digest of the media's plan, or of the only plan; and that of the service's, where there are two.
fn split(digest: &str) -> (&str, Option<&str>) {
    digest.split_once('-').map_or((digest, None), |(first, second)| (first, Some(second)))
}

/// What is planned, and the present settings unless the plan changes them.
struct Found {
    planned: Option<Planned>,
    settings: Option<MediaSettings>,
}

impl Summary for Found {
    fn summary(&self) -> String {
        let parts = [self.planned.as_ref().map(Summary::summary), self.settings.as_ref().map(Summary::summary)];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

/// Makes a plan. Where a digest is given, takes the kept plan that it approves. Where none is kept, nothing was to be changed, or the
/// run before has applied it: all of it, or until it failed. So there must be nothing left to change.
async fn find(
    env: &Env<'_>,
    media: &Media,
    source: &Source,
    given: Option<&str>,
    step: &Ongoing,
    stop: &Stop,
) -> Result<Found, Failure> {
    let workspace = enter(env, source, step, stop).await?;
    tofu::settle(&workspace, step, stop).await?;
    let planned = match given {
        None => Some(plan::make(&workspace, None, Purpose::Apply, step, stop).await?),
        Some(digest) => match workspace.plan_store()?.find().await? {
            Some(record) => {
                refuse_removal(&record, &media_of(env))?;
                Some(plan::kept(&workspace, stop).await?.approved(digest, None)?)
            }
            None => {
                let left = plan::make(&workspace, None, Purpose::Show, step, stop).await?;
                if left.has_changes {
                    return Err(not_kept(&media_of(env)));
                }
                None
            }
        },
    };
    let planned = planned.filter(|planned| planned.has_changes);
    planned.as_ref().map_or(Ok(()), Planned::guard)?;
    let name = |path: &String| path.split('.').next().map(str::to_owned).unwrap_or_default();
    let is_changed = |planned: &Planned| media.settings.values().any(|path| planned.changes_output(&name(path)));
    let settings = match planned.as_ref().is_some_and(is_changed) {
        true => None,
        false => Some(media::read(&workspace, media, stop).await?),
    };
    Ok(Found { planned, settings })
}

/// The environment whose media these are.
fn media_of(env: &Env<'_>) -> String {
    env.name().strip_suffix(MEDIA).unwrap_or(env.name()).to_owned()
}

/// A deploy removes no media, also where its plan is approved.
fn refuse_removal(record: &PlanRecord, environment: &str) -> Result<(), Failure> {
    if !record.destroy {
        return Ok(());
    }
    Err(Failure::Refused(anyhow!(
        "nothing was applied: the plan that is kept removes the stack of the media, and a deploy does not do that\n  make a new plan: \
         cargo xtask deploy {environment} --plan-only"
    )))
}

fn not_kept(environment: &str) -> Failure {
    Failure::Refused(anyhow!(
        "nothing was applied: no plan is kept that this digest approves\n  make a new plan: cargo xtask deploy {environment} --plan-only"
    ))
}

async fn apply(run: &Run<'_>, plan: &Plan, source: &Source) -> Result<MediaSettings, Failure> {
    let (Some(media), Some(env)) = (&run.env.environment.media, run.env.media()) else {
        return Ok(MediaSettings::default());
    };
    let planned = &plan.media.as_ref().context("there is a plan")?.planned;
    run.verify_lease().await?;
    let applied = run.critical(Step::MediaApply, async |step, stop| {
        let workspace = enter(&env, source, step, stop).await?;
        let applied = tofu::apply::perform(&workspace, planned, &workspace.source, step, stop).await?;
        if !applied.errored.is_empty() {
            let errored: Vec<String> = applied.errored.iter().map(ToString::to_string).collect();
            return Err(anyhow!("the platform reports an error of {}", errored.join("; ")).into());
        }
        unseen::refuse_exposed(&applied.unseen)?;
        tell(run.env, &applied.unseen);
        let settings = media::read(&workspace, media, stop).await?;
        Ok(Applied { summary: format!("{}; {}", applied.summary(), settings.summary()), settings })
    });
    Ok(Box::pin(applied).await?.settings)
}

struct Applied {
    summary: String,
    settings: MediaSettings,
}

impl Summary for Applied {
    fn summary(&self) -> String {
        self.summary.clone()
    }
}

async fn enter<'e>(env: &'e Env<'e>, source: &Source, step: &Ongoing, stop: &Stop) -> Result<Workspace<'e>, Failure> {
    // OpenTofu does not say that it waits for the bucket of the state.
    env.store()?.get(lease::KEY).await.context("reach the bucket of the media's state")?;
    let workspace = Workspace::enter(env, source.clone(), &format!("deploy {}", env.name())).await?;
    tofu::init_if_changed(&workspace, step, stop).await?;
    Ok(workspace)
}

fn tell(env: &Env<'_>, unseen: &[Unseen]) {
    unseen
        .iter()
        .filter(|unseen| unseen.verdict != Verdict::Good)
        .for_each(|unseen| env.report.warn(&unseen.to_string()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::tofu::StateVersion;

    #[test]
    fn a_plan_that_removes_the_media_is_not_applied() {
        let record = |destroy: bool| PlanRecord {
            environment: "prod-media".to_owned(),
            version: "0123456789ab".to_owned(),
            commit: "0".repeat(40),
            release: None,
            plan: "0".repeat(64),
            state: StateVersion::default(),
            made: jiff::Timestamp::UNIX_EPOCH,
            destroy,
        };
        refuse_removal(&record(false), "prod").unwrap();
        let refused = refuse_removal(&record(true), "prod").unwrap_err();
        assert_eq!(refused.exit_code(), 21);
        assert!(refused.into_error().to_string().ends_with("cargo xtask deploy prod --plan-only"));
    }

    #[test]
    fn a_digest_is_of_the_media_alone_or_of_both() {
        assert_eq!((split("a"), split("a-b")), (("a", None), ("a", Some("b"))));
    }
}
