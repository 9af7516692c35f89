//! A deploy: a commit becomes a running, verified, reversible release.

pub mod approval;
mod asked;
pub mod changes;
#[cfg(feature = "cloud")]
mod deployments;
#[cfg(not(feature = "cloud"))]
#[path = "deploy/no_deployments.rs"]
mod deployments;
#[cfg(feature = "cloud")]
pub mod drift_issue;
pub mod gate;
#[cfg(feature = "cloud")]
mod hosts;
#[cfg(not(feature = "cloud"))]
#[path = "deploy/no_hosts.rs"]
mod hosts;
#[cfg(feature = "cloud")]
mod media;
#[cfg(not(feature = "cloud"))]
#[path = "deploy/no_media.rs"]
mod media;
mod notify;
pub mod preflight;
pub mod rescue;
mod roll_out;
pub mod rollback;
pub mod run;
mod trace;
mod watch;
pub mod way_back;

use std::ops::ControlFlow;

use anyhow::{Context as _, anyhow};

use self::approval::{Approval, approve};
use self::changes::Plan;
use self::media::Ready;
use self::preflight::preflight;
pub use self::roll_out::Live;
use self::roll_out::{is_serving, record_release, roll_out};
use self::run::Run;
use self::way_back::way_back;
use crate::config::Service;
use crate::env::Env;
use crate::failure::Failure;
use crate::release::{Artifact, Published, Release, Settings, Source};
use crate::report::{Step, Summary as _};
use crate::sqlx::{self, Problems, Schema};
use crate::state::history::{self, Kind, Outcome, Record};
use crate::targets::Target;
use crate::tools::git::{self, Filters};

/// How a deploy ended well.
pub enum Deployed {
    /// A new release serves.
    Live(Live),
    /// The release that was asked for served already.
    Unchanged(Live),
    /// Nothing was applied: the plan was asked for.
    Planned(Box<Plan>),
}

/// What is asked of a deploy.
#[derive(Clone, Copy, Default)]
pub struct Request<'m> {
    /// Continue an interrupted deploy.
    pub resume: bool,
    /// Go on where the release that serves could not start again.
    pub no_way_back: bool,
    /// Deploy a commit that is not in the main branch to a stack.
    pub allow_branch: bool,
    /// How the changes of a stack are approved.
    pub approval: Approval<'m>,
    /// For those who find the environment locked.
    pub message: Option<&'m str>,
}

/// Deploys the checked-out tree.
pub async fn deploy(env: &Env<'_>, target: &Target<'_>, request: Request<'_>) -> Result<Deployed, Failure> {
    target.runs_the_service()?;
    let source = headline(env, Filters::Run);
    let checked = Box::pin(preflight(env, target, source, request.allow_branch)); // Every problem at once.
    let source = env.stop.cancels("nothing was changed", checked).await?;
    let message = request.message.map_or_else(|| format!("deploy {}", &source.commit[..12]), str::to_owned);
    let run = Run::begin(env, target, Kind::Deploy, message, request.resume).await?; // Locked → 20
    Box::pin(run.finish(steps(&run, source, &request))).await
}

async fn steps(run: &Run<'_>, source: Source, request: &Request<'_>) -> Result<Deployed, Failure> {
    let (env, target, approval) = (run.env, run.target, request.approval);
    // A journal in a bucket may be changed by more than those who may deploy, so its results are compared with what is known here.
    let holds = async |found: &Source| *found == source;
    let source = run.step(Step::Source, &source, holds, async |_| Ok(source.clone())).await?;
    run.note(|record| record.source = Some(source.clone()));
    if approval != Approval::PlanOnly {
        run.has_started().await;
    }
    if source.branch.as_ref() != Some(&env.config.source.main_branch) {
        env.report.note(&format!("this is not {}, the branch that releases come from", env.config.source.main_branch));
    }
    let resume = if request.resume { " --resume" } else { "" };
    let command = format!("cargo xtask deploy {}{resume}", env.name());
    let has_stack = target.has_stack();
    let is_checked_first = !has_stack || env.environment.media.is_some();
    if is_checked_first {
        // Before anything is made for a release that is refused.
        check_queries(run).await?;
    }
    let media = match Box::pin(media::before(run, &source, approval, &command)).await? {
        ControlFlow::Continue(ready) => ready,
        ControlFlow::Break(plan) => {
            run.leaves_no_record();
            return Ok(Deployed::Planned(Box::new(Plan::of_media(*plan))));
        }
    };
    let applied = media.applied.clone();
    let ended = Box::pin(with_media(run, source, request, *media, &command)).await;
    if let (Some(counts), Err(_)) = (applied, &ended) {
        // What refuses the release, or fails, leaves them as they are.
        env.report.note(&format!("the stack of the media was applied before that ({counts}), and stays so"));
    }
    ended
}

/// What follows once it is known what the stack of the media gives.
async fn with_media(
    run: &Run<'_>,
    source: Source,
    request: &Request<'_>,
    media: Ready<'_>,
    command: &str,
) -> Result<Deployed, Failure> {
    let (env, target, has_stack) = (run.env, run.target, run.target.has_stack());
    let is_checked_first = !has_stack || env.environment.media.is_some();
    let Ready { settings: of_media, plan: media, approval, applied } = media;
    if approval == Approval::PlanOnly && !has_stack {
        run.leaves_no_record();
        let nothing = Plan { lines: Vec::new(), refusals: Vec::new(), media, stack: None, way_back: None };
        return Ok(Deployed::Planned(Box::new(nothing)));
    }
    let settings = run.live_step(Step::Provision, async |step| target.provision(&of_media, step).await).await?;
    // A stack can differ from its files, so its plan decides.
    if !has_stack
        && media.is_none()
        && let Some(live) = unchanged(run, &source, &settings).await?
    {
        return Ok(Deployed::Unchanged(live));
    }
    let artifact = match has_stack {
        // None needs another's result, or changes what users or others see. The first that fails ends the others.
        true if is_checked_first => tokio::try_join!(build(run, &source), initialize(run, &source))?.0,
        true => tokio::try_join!(build(run, &source), check_queries(run), initialize(run, &source))?.0,
        false => build(run, &source).await?,
    };
    let holds = async |found: &Published| {
        found.source == source && found.migrations == artifact.migrations && target.has_published(found).await
    };
    let publish = async |step: &_| target.publish(&artifact, step).await;
    let published = run.step(Step::Publish, &artifact, holds, publish).await?;
    verify(run, &published, None).await?; // Refused → 21
    let release = Release::new(published, &settings)?;
    let no_way_back = request.no_way_back;
    let way_back = way_back(run, &release, &settings, no_way_back).await?;
    // Critical: a stack's plan holds the lock of its state.
    let plan = run.critical(Step::Plan, async |step, stop| {
        let stack = target.plan(&release, &settings, approval.digest(), step, stop).await?;
        let plan = Plan::compare(&release, run.live_records(), stack);
        Ok(plan.with_media(media, applied.as_ref()).with_way_back(way_back, no_way_back, run.env.name()))
    });
    let plan = plan.await?;
    run.note(|record| record_release(record, &release, &plan));
    plan.guard()?; // Refused → 21
    if approval == Approval::PlanOnly {
        run.leaves_no_record();
        return Ok(Deployed::Planned(Box::new(plan)));
    }
    if plan.media.is_none()
        && plan.stack.as_ref().is_some_and(|stack| !stack.has_changes)
        && let Some(live) = unchanged(run, &source, &settings).await?
    {
        return Ok(Deployed::Unchanged(live));
    }
    approve(env, &plan, approval, command).await?; // Refused → 21
    Box::pin(media::apply_with(run, &plan, &source, &of_media)).await?;
    roll_out(run, &release, &settings, &plan).await.map(Deployed::Live) // Restored → 30, not restored → 31
}

async fn build(run: &Run<'_>, source: &Source) -> Result<Artifact, Failure> {
    let (target, Service { package, binary, web, .. }) = (run.target, &run.env.config.service);
    let inputs = (source, package, binary, web);
    let holds = async |found: &Artifact| found.source == *source && target.has_built(found).await;
    run.step(Step::Build, &inputs, holds, async |step| target.build(source, step).await).await
}

/// Verifies who built what is deployed, where the environment requires a proof. An earlier release may have been verified when it was
/// deployed, by its signed record.
async fn verify(run: &Run<'_>, published: &Published, earlier: Option<&Record>) -> Result<(), Failure> {
    let env = run.env;
    if env.environment.verify.is_none() {
        return Ok(());
    }
    let known = earlier.and_then(|record| record.provenance.clone());
    let provenance = match known {
        Some(known) => {
            env.report.begin(Step::Provenance).reuse(&known.summary());
            known
        }
        None => {
            let verified = async |_: &_| {
                let verified = run.target.verify(published).await?;
                Ok(verified.context("the target cannot verify who built a release")?)
            };
            run.live_step(Step::Provenance, verified).await?
        }
    };
    run.note(|record| record.provenance = Some(provenance));
    Ok(())
}

/// Initializes the working folder of the target's stack.
async fn initialize(run: &Run<'_>, source: &Source) -> Result<(), Failure> {
    let Target::Stack(stack) = run.target else { return Ok(()) };
    let initialized = async |step: &_| Box::pin(stack.initialize(source, step, &run.env.stop)).await;
    run.live_step(Step::Init, initialized).await.map(drop)
}

/// Checks the service's queries and migrations, and shows what else that found.
async fn check_queries(run: &Run<'_>) -> Result<(), Failure> {
    let Some(schema) = Schema::cached(run.env)? else { return Ok(()) };
    let checked = async |step: &_| Ok(sqlx::fresh(&schema, run.live_records(), step).await?);
    let checked = run.live_step(Step::Sqlx, checked).await;
    match &checked {
        Ok(checked) => run.env.report.notices(&checked.notices),
        Err(Failure::Failed(error)) => {
            run.env.report.notices(Problems::of(error).map(|problems| problems.notices.as_slice()).unwrap_or_default());
        }
        Err(_) => {}
    }
    checked.map(drop)
}

/// What a deploy would do. Changes nothing.
pub async fn outlook(env: &Env<'_>, target: &Target<'_>) -> Result<Vec<String>, Failure> {
    let Target::Local(local) = target else {
        let name = env.name();
        if !target.has_stack() {
            let place = if let Target::Easypanel(_) = target { "runs at Easypanel" } else { "is a Docker host" };
            return Err(Failure::Usage(anyhow!(
                "{name} {place}, and `--dry-run` shows what a deploy to this machine does\n  type: cargo xtask doctor {name}"
            )));
        }
        return Err(Failure::Usage(anyhow!(
            "{name} runs on a stack, and OpenTofu's plan says what would change\n  type: cargo xtask deploy {name} --plan-only"
        )));
    };
    let source = headline(env, Filters::Off).await?;
    env.stop.cancels("nothing was changed", preflight::preview(env, target)).await?;
    let store = env.store()?;
    let read = async { Ok(history::recent(store).await?) };
    let records = env.stop.cancels("nothing was changed", read).await?;
    let live = records.iter().rfind(|record| record.outcome == Outcome::Live);
    let mut lines = Vec::new();
    if let Some(schema) = Schema::cached(env)? {
        lines.push(schema.outlook()?);
    }
    lines.extend(local.outlook(&source, live).await?);
    Ok(lines)
}

/// Shows what goes where. The build checks that the tree is still this source when it ends.
async fn headline(env: &Env<'_>, filters: Filters) -> Result<Source, Failure> {
    // A filter may be git-lfs, which downloads.
    let source = async { Ok(git::source(env.root(), filters).await?) };
    let source = env.stop.cancels("nothing was changed", source).await?;
    let (project, name, commit) = (&env.config.project, env.name(), &source.commit[..12]);
    env.report.headline_about(&format!("{project} → {name}   {commit}  "), &source.subject);
    Ok(source)
}

/// The release that serves, if it is what was asked for: the same version with the same settings and secrets, and ready.
async fn unchanged(run: &Run<'_>, source: &Source, settings: &Settings) -> Result<Option<Live>, Failure> {
    let inputs = settings.inputs()?;
    // A version is the beginning of a commit's digits.
    let is_same = |record: &&Record| {
        let commit = record.source.as_ref().map(|source| &source.commit);
        record.inputs.as_ref() == Some(&inputs) && commit == Some(&source.commit)
    };
    let Some(record) = run.live().filter(is_same) else { return Ok(None) };
    // An earlier toolkit may have started it as root; a panel may have been set to something else.
    if !run.target.serves_as_now(record, settings).await? {
        return Ok(None);
    }
    let live = is_serving(run.target, &record.id, &source.version).await?;
    if live.is_some() {
        run.leaves_no_record();
    }
    Ok(live)
}
