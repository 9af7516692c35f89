//! A deploy: a commit becomes a running, verified, reversible release.

pub mod changes;
pub mod gate;
pub mod preflight;
pub mod rescue;
mod roll_out;
pub mod rollback;
pub mod run;
pub mod way_back;

use self::changes::Plan;
use self::preflight::preflight;
pub use self::roll_out::Live;
use self::roll_out::{is_serving, record_release, roll_out};
use self::run::Run;
use self::way_back::way_back;
use crate::config::Service;
use crate::env::Env;
use crate::failure::Failure;
use crate::release::{Release, Settings, Source};
use crate::report::Step;
use crate::sqlx::{self, Problems, Schema};
use crate::state::history::{self, Kind, Outcome};
use crate::targets::Target;
use crate::tools::git;

/// How a deploy ended well.
pub enum Deployed {
    /// A new release serves.
    Live(Live),
    /// The release that was asked for served already.
    Unchanged(Live),
}

/// What is asked of a deploy.
#[derive(Default)]
pub struct Request<'m> {
    /// Continue an interrupted deploy.
    pub resume: bool,
    /// Go on where the release that serves could not start again.
    pub no_way_back: bool,
    /// For those who find the environment locked.
    pub message: Option<&'m str>,
}

/// Deploys the checked-out tree.
pub async fn deploy(env: &Env<'_>, target: &Target<'_>, request: Request<'_>) -> Result<Deployed, Failure> {
    target.local("deploying")?;
    let source = headline(env).await?;
    env.stop.cancels("nothing was changed", preflight(env, target)).await?; // Every problem at once.
    let message = request.message.map_or_else(|| format!("deploy {}", &source.commit[..12]), str::to_owned);
    let run = Run::begin(env, target, Kind::Deploy, message, request.resume).await?; // Locked → 20
    Box::pin(run.finish(steps(&run, source, request.no_way_back))).await
}

async fn steps(run: &Run<'_>, source: Source, no_way_back: bool) -> Result<Deployed, Failure> {
    let (env, target) = (run.env, run.target);
    let source = run.step(Step::Source, &source.clone(), async |_: &_| true, async |_| Ok(source)).await?;
    run.note(|record| record.source = Some(source.clone()));
    if source.branch.as_ref() != Some(&env.config.source.main_branch) {
        env.report.note(&format!("this is not {}, the branch that releases come from", env.config.source.main_branch));
    }
    if let Some(schema) = Schema::cached(env)? {
        check_queries(run, &schema).await?;
    }
    let settings = run.live_step(Step::Provision, async |step| target.provision(step).await).await?;
    if let Some(live) = unchanged(run, &source, &settings).await? {
        return Ok(Deployed::Unchanged(live));
    }
    let Service { package, binary, web, .. } = &env.config.service;
    let inputs = (&source, package, binary, web);
    let holds = async |artifact: &_| target.has_built(artifact).await;
    let artifact = run.step(Step::Build, &inputs, holds, async |step| target.build(&source, step).await).await?;
    let holds = async |published: &_| target.has_published(published).await;
    let publish = async |step: &_| target.publish(&artifact, step).await;
    let published = run.step(Step::Publish, &artifact, holds, publish).await?;
    let release = Release::new(published, &settings)?;
    let way_back = way_back(run, &release, &settings, no_way_back).await?;
    // Critical: a stack's plan holds the lock of its state.
    let plan = run.critical(Step::Plan, async |step, stop| {
        let stack = target.plan(&release, &settings, step, stop).await?;
        let plan = Plan::compare(&release, run.live_records(), stack);
        Ok(plan.with_way_back(way_back, no_way_back, run.env.name()))
    });
    let plan = plan.await?;
    run.note(|record| record_release(record, &release, &plan));
    plan.guard()?; // Refused → 21
    roll_out(run, &release, &settings, &plan).await.map(Deployed::Live) // Restored → 30, not restored → 31
}

/// Checks the service's queries and migrations, and shows what else that found.
async fn check_queries(run: &Run<'_>, schema: &Schema<'_>) -> Result<(), Failure> {
    let checked = async |step: &_| Ok(sqlx::fresh(schema, run.live_records(), step).await?);
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
    let local = target.local("deploying")?;
    let source = headline(env).await?;
    preflight::preview(env, target).await?;
    let records = history::read_all(env.store()?).await?;
    let live = records.iter().rfind(|record| record.outcome == Outcome::Live);
    let mut lines = Vec::new();
    if let Some(schema) = Schema::cached(env)? {
        lines.push(schema.outlook()?);
    }
    lines.extend(local.outlook(&source, live).await?);
    Ok(lines)
}

/// Shows what goes where. The build checks that the tree is still this source when it ends.
async fn headline(env: &Env<'_>) -> Result<Source, Failure> {
    let source = git::source(env.root()).await?;
    let (project, name, commit) = (&env.config.project, env.name(), &source.commit[..12]);
    env.report.headline(&format!("{project} → {name}   {commit}  {}", source.subject));
    Ok(source)
}

/// The release that serves, if it is what was asked for: the same version with the same settings and secrets, and ready.
async fn unchanged(run: &Run<'_>, source: &Source, settings: &Settings) -> Result<Option<Live>, Failure> {
    let inputs = settings.inputs()?;
    let Some(record) = run.live().filter(|record| record.inputs.as_ref() == Some(&inputs)) else {
        return Ok(None);
    };
    // An earlier toolkit may have started it as root.
    if !run.target.serves_as_now().await? {
        return Ok(None);
    }
    let live = is_serving(run.target, &record.id, &source.version).await?;
    if live.is_some() {
        run.is_unchanged();
    }
    Ok(live)
}
