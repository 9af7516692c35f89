//! The story of a deploy: a commit becomes a running, verified, reversible release.

pub mod gate;
pub mod preflight;
pub mod rollback;
pub mod run;
use anyhow::{Result, anyhow};

use self::gate::gate;
use self::preflight::preflight;
use self::rollback::crossed;
use self::run::Run;
use crate::config::Service;
use crate::env::Env;
use crate::failure::Failure;
use crate::release::{Artifact, Published, Release, Source, Web};
use crate::report::{Ongoing, Step};
use crate::sqlx::{self, Schema};
use crate::state::history::{self, Kind, Outcome, Record};
use crate::targets::{Ground, Plan};
use crate::tools::cargo::{self, Profile};
use crate::tools::{git, npm};

/// How a deploy is to be made.
#[derive(Clone, Debug, Default)]
pub struct How {
    /// Go on with one that was cut short.
    pub resume: bool,
    /// For whoever finds the environment locked.
    pub message: Option<String>,
}

/// How a deploy ended well.
pub enum Deployed {
    /// There is a new release.
    Live(Release),
    /// What was asked for serves already.
    Unchanged(Release),
}

/// Deploys what is checked out.
pub async fn deploy(env: &Env<'_>, how: &How) -> Result<Deployed, Failure> {
    let head = announce(env).await?;
    preflight(env).await?; // Every problem at once, before anything changes.
    let message = how.message.clone().unwrap_or_else(|| format!("deploy {}", &head.commit[..12]));
    let run = Run::begin(env, Kind::Deploy, message, how.resume).await?; // Locked → 20
    run.to_its_end(steps(env, &run)).await
}

async fn steps(env: &Env<'_>, run: &Run<'_>) -> Result<Deployed, Failure> {
    let source = git::source(env.root()).await?;
    let source = run.step(Step::Source, &source.clone(), async |_| Ok(source)).await?;
    run.note(|record| record.source = Some(source.clone()));
    if source.branch.as_ref() != Some(&env.config.source.main_branch) {
        env.report.note(&format!("this is not {}, where releases come from", env.config.source.main_branch));
    }
    if let Some(schema) = Schema::cached(env)? {
        run.live_step(Step::Sqlx, async |step| sqlx::fresh(env, &schema, run.lives(), step).await).await?;
    }
    let ground = run.live_step(Step::Ground, async |step| env.place.ground(&env.report, step).await).await?;
    if let Some(release) = unchanged(env, run, &source, &ground).await? {
        return Ok(Deployed::Unchanged(release));
    }
    let Service { package, binary, web, .. } = &env.config.service;
    let what = (&source, package, binary, web);
    let artifact = run.step(Step::Build, &what, async |step| build(env, &source, step).await).await?;
    let published = run.step(Step::Publish, &artifact, async |_| env.place.publish(&artifact)).await?;
    let plan = run.live_step(Step::Plan, async |_| Ok(env.place.plan(&published, &ground, run.lives()))).await?;
    run.note(|record| planned(record, &published, &ground, &plan));
    guard(&plan)?; // Refused → 21
    take_over(env, run, &published, &ground).await.map(Deployed::Live)
}

/// From a published release to one that serves. Whatever goes wrong on the way, the previous release serves afterwards, or
/// it is said that it does not. A rollback ends the same way.
pub async fn take_over(
    env: &Env<'_>,
    run: &Run<'_>,
    published: &Published,
    ground: &Ground,
) -> Result<Release, Failure> {
    let brought_up = match switched_before(env, run, published, ground).await? {
        Some(release) => Ok(release),
        None => bring_up(env, run, run.id(), published, ground).await,
    };
    match brought_up {
        Ok(release) => {
            run.note(|record| record.end(Outcome::Live, None));
            Ok(release)
        }
        Err(Failure::Failed(error)) => Err(restore(env, run, published, ground, error).await),
        Err(other) => Err(other),
    }
}

/// Starts a release beside the one that serves, lets it say itself that it is ready, and lets it take over.
async fn bring_up(
    env: &Env<'_>,
    run: &Run<'_>,
    id: String,
    published: &Published,
    ground: &Ground,
) -> Result<Release, Failure> {
    let version = &published.source.version;
    run.holds_lease().await?;
    let mut applied = run.live_step(Step::Apply, async |_| env.place.apply(id, published, ground).await).await?;
    run.live_step(Step::Gate, async |step| gate(env, &mut applied, version, step).await).await?;
    run.holds_lease().await?; // The last look before what users notice.
    let switched = run
        .live_step(Step::Switch, async |step| {
            let switched = env.place.switch(applied, step).await?;
            // It serves, whether or not that could be written down.
            if let Err(error) = run.remember(Step::Switch, &(&published.digest, &ground.inputs), &run.id()).await {
                env.report.warn(&format!("{error:#}"));
            }
            Ok(switched)
        })
        .await?;
    let features_off = switched.readiness.features_off();
    Ok(Release { version: version.clone(), address: switched.address, features_off })
}

/// What would be deployed, and what would change. Changes nothing.
pub async fn dry_run(env: &Env<'_>) -> Result<(), Failure> {
    announce(env).await?;
    preflight::preview(env).await?;
    let source = git::source(env.root()).await?;
    let records = history::read_all(&env.store).await?;
    let live = records.iter().rfind(|record| record.outcome == Outcome::Live);
    let outlook = env.place.outlook(&source, live).await?;
    if let Some(schema) = Schema::cached(env)? {
        env.report.note(&schema.outlook()?);
    }
    for line in &outlook {
        env.report.note(line);
    }
    env.report.note("nothing was changed");
    Ok(())
}

/// Says what goes where.
async fn announce(env: &Env<'_>) -> Result<git::Head> {
    let head = git::head(env.root()).await?;
    env.report.headline(&format!("{} → {}   {}  {}", env.config.project, env.name, &head.commit[..12], head.subject));
    Ok(head)
}

/// The release that serves, if it is what was asked for: the same version with the same settings and secrets, and ready.
async fn unchanged(env: &Env<'_>, run: &Run<'_>, source: &Source, ground: &Ground) -> Result<Option<Release>, Failure> {
    let Some(record) = run.live().filter(|record| record.inputs.as_ref() == Some(&ground.inputs)) else {
        return Ok(None);
    };
    let release = serving(env, &record.id, &source.version).await?;
    if release.is_some() {
        run.is_superfluous();
    }
    Ok(release)
}

/// The release that was started under this id, if it serves and is ready in this version.
async fn serving(env: &Env<'_>, id: &str, version: &str) -> Result<Option<Release>, Failure> {
    let Some(live) = env.place.live().await?.filter(|live| live.id == id) else { return Ok(None) };
    let Some(readiness) = live.ready_as(version).await else { return Ok(None) };
    let features_off = readiness.features_off();
    Ok(Some(Release { version: version.to_owned(), address: live.address, features_off }))
}

/// The release, when the run that was cut short had come to the end of its switch and not to its record. With settings
/// that have changed since, it is not what is asked for now.
async fn switched_before(
    env: &Env<'_>,
    run: &Run<'_>,
    published: &Published,
    ground: &Ground,
) -> Result<Option<Release>, Failure> {
    let switched: Option<String> = run.recall(Step::Switch, &(&published.digest, &ground.inputs)).await?;
    if switched != Some(run.id()) {
        return Ok(None);
    }
    let release = serving(env, &run.id(), &published.source.version).await?;
    if let Some(release) = &release {
        env.report.begin(Step::Switch).reuse(&format!("{} answers at {}", release.version, release.address));
    }
    Ok(release)
}

/// Compiles the tree as it stands. A tree that changes meanwhile fails the step: nobody could say what was built.
async fn build(env: &Env<'_>, source: &Source, step: &Ongoing) -> Result<Artifact> {
    let service = &env.config.service;
    let (root, binary) = (env.root(), service.binary.as_str());
    let progress = |text: &str| step.progress(&format!("{binary}: {text}"));
    let program = cargo::build(root, &service.package, binary, Profile::Release, progress, |line| step.output(line));
    let (program, web) = tokio::try_join!(program, async {
        let Some(web) = &service.web else { return Ok(None) };
        let folder = npm::build(&root.join(web), |line| step.output(line)).await?;
        let sha256 = crate::hash::sha256_folder(&folder)?;
        Ok(Some(Web { folder, sha256 }))
    })?;
    let now = git::source(env.root()).await?;
    if now.version != source.version {
        return Err(anyhow!(
            "the tree changed while it was built: it was {} and is {}; what was built is neither\n  type: cargo xtask deploy {}",
            source.version,
            now.version,
            env.name
        ));
    }
    let sha256 = crate::hash::sha256_file(&program)?;
    Ok(Artifact { source: source.clone(), binary: program, sha256, web, migrations: env.place.migrations()? })
}

/// Puts what is known once there is a plan into the record.
pub fn planned(record: &mut Record, published: &Published, ground: &Ground, plan: &Plan) {
    record.source = Some(published.source.clone());
    record.digest = Some(published.digest.clone());
    record.migrations.clone_from(&published.migrations);
    record.plan.clone_from(&plan.lines);
    record.settings.clone_from(&ground.plain);
    record.secrets.clone_from(&ground.fingerprints);
    record.inputs = Some(ground.inputs.clone());
}

/// Refuses what cannot be taken back by a rollback and nobody asked for.
fn guard(plan: &Plan) -> Result<(), Failure> {
    if plan.refusals.is_empty() {
        return Ok(());
    }
    Err(Failure::Refused(anyhow!("refused:\n  {}", plan.refusals.join("\n  "))))
}

/// The previous release serves: as it did all along, or brought up again.
async fn restore(
    env: &Env<'_>,
    run: &Run<'_>,
    published: &Published,
    ground: &Ground,
    error: anyhow::Error,
) -> Failure {
    let text = format!("{error:#}");
    let Some(previous) = run.live() else {
        run.note(|record| record.end(Outcome::NotRestored, Some(text)));
        return Failure::NotRestored(
            error.context("the release is not healthy, and there is no previous one to go back to"),
        );
    };
    let version = previous.version();
    let restored = match run.live_step(Step::Restore, async |_| env.place.still_serves(previous).await).await {
        Ok(_) => Ok(()),
        Err(_) => bring_back(env, run, previous, ground).await,
    };
    match restored {
        Ok(()) => {
            // The service migrates when it starts, so an unhealthy release may have done it all the same.
            let crossed = crossed(&published.migrations, previous);
            if !crossed.is_empty() {
                env.report.warn(&format!(
                    "{} cannot be undone and may have been applied; {version} does not know it: go forward soon",
                    crossed.join(", ")
                ));
            }
            run.note(|record| record.end(Outcome::Restored, Some(text)));
            Failure::Restored(error.context(format!("the release is not healthy; {version} serves as before")))
        }
        Err(not) => {
            run.note(|record| record.end(Outcome::NotRestored, Some(format!("{text}; restoring failed: {not:#}"))));
            let both = format!("the release is not healthy, and {version} could not be restored: {not:#}");
            Failure::NotRestored(error.context(both))
        }
    }
}

async fn bring_back(env: &Env<'_>, run: &Run<'_>, previous: &Record, ground: &Ground) -> Result<()> {
    let published = env.place.published(previous.version())?;
    let ground = ground.with_settings(&previous.settings)?;
    let brought = Box::pin(bring_up(env, run, previous.id.clone(), &published, &ground)).await;
    brought.map(drop).map_err(|failure| failure.into_error())
}
