//! The story: its chapters in their order.

use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use jiff::Timestamp;
use xtask::config::{Config, Environment};
use xtask::failure::Failure;
use xtask::report::Report;
use xtask::signals::Stop;
use xtask::tofu::rehearsed;

use crate::account::Account;
use crate::breaks;
use crate::log::Log;
use crate::machine::{Found, Programs};
use crate::place::Place;
use crate::project::is_dirty;
use crate::stage::Stage;
use crate::toolkit::Toolkit;
use crate::values;
use xtask::commands::rehearse::{Chosen, StoryArgs};

/// How a story ended.
pub struct Ended {
    /// What happened; none if it did not begin.
    pub account: Option<Account>,
    /// Why it did not go well.
    pub failure: Option<Failure>,
}

/// What is told, and where.
pub struct Story<'a> {
    /// The project's own deploy.yaml.
    pub config: &'a Config,
    /// The environment that is rehearsed.
    pub environment: &'a Environment,
    /// What goes wrong, and what is left.
    pub args: &'a StoryArgs,
    /// Where all of it is.
    pub place: &'a Place,
    /// Where progress is shown.
    pub report: &'a Report,
    /// Requests to stop.
    pub stop: &'a Stop,
}

impl Story<'_> {
    /// Tells the story. Everything that it started has ended when it returns, but what it made is still there.
    pub async fn tell(&self) -> Ended {
        let Self { config, environment, args, place, report, stop } = *self;
        let began = Instant::now();
        let prepared = stop.cancels("nothing was changed", Box::pin(prepare(config, environment, args, report)));
        let (found, programs) = match prepared.await {
            Ok(prepared) => prepared,
            Err(failure) => return Ended { account: None, failure: Some(failure) },
        };
        let mut toolkit = Toolkit::new(programs.toolkit.clone(), place.project.clone(), began, report);
        // The rehearsal has secrets of its own; those that a shell exports are of a real account.
        toolkit.hidden = config.secret_names();
        let account = Account {
            project: config.project.clone(),
            environment: environment.name.clone(),
            commit: String::new(),
            started: Timestamp::now(),
            chapters: Vec::new(),
        };
        let log = Log::new(report, place, &toolkit, account);
        let mut work = Box::pin(self.chapters(&log, &toolkit, &found, &programs));
        let ended = tokio::select! {
            // The work first: one that was kept ends by the same request.
            biased;
            ended = &mut work => ended,
            signal = stop.requested() => {
                // The toolkit's commands end in order first: they have servers of their own.
                toolkit.ask_to_end();
                drop(tokio::time::timeout(toolkit.patience(), &mut work).await);
                Err(Failure::Aborted(anyhow!("interrupted by {signal}")))
            }
        };
        drop(work);
        let why = match &ended {
            Err(Failure::Aborted(_)) => "the rehearsal was interrupted",
            _ => "an earlier chapter failed",
        };
        let skipped = log.skip(self.parts().into_iter().map(Part::name), why);
        let failure = ended.err().or(skipped.err().map(Failure::Failed));
        Ended { account: Some(log.account()), failure }
    }

    /// Every chapter, in its order.
    fn parts(&self) -> Vec<Part> {
        let Self { config, environment, args, .. } = *self;
        // It was read before the story began.
        let database = values::takes_database(config).unwrap_or_default();
        let fits = |chosen: &Chosen| breaks::fits(*chosen, environment, database);
        let breaks = args.breaks().into_iter().filter(fits).map(Part::Break);
        if environment.docker_hosts().is_some() {
            let begin = [Part::Servers, Part::Project, Part::Deploy, Part::Load];
            return begin.into_iter().chain(breaks).chain([Part::Rollback]).collect();
        }
        let mut all = vec![Part::Servers, Part::Project, Part::State];
        all.extend(environment.domain().map(|_| Part::Zone));
        all.push(Part::Registry);
        all.extend(environment.media.as_ref().map(|_| Part::Media));
        if args.ci {
            all.push(Part::Ci);
        } else {
            all.extend([Part::Plan, Part::Deploy, Part::Load]);
            all.extend(breaks);
            all.push(Part::Rollback);
        }
        all
    }

    async fn chapters(
        &self,
        log: &Log<'_>,
        toolkit: &Toolkit,
        found: &Found,
        programs: &Programs,
    ) -> Result<(), Failure> {
        let Self { config, environment, args, place, stop, .. } = *self;
        let engine = found.engine.as_ref().context("there is an engine")?;
        let mut stage = Stage::new(config, environment, place, toolkit, engine);
        let ended = Self::play(&mut stage, log, programs, found, self.parts()).await;
        if args.keep && stage.clone().is_ok() {
            stage.keep(stop).await?;
        }
        ended
    }

    async fn play(
        stage: &mut Stage<'_>,
        log: &Log<'_>,
        programs: &Programs,
        found: &Found,
        parts: Vec<Part>,
    ) -> Result<(), Failure> {
        for part in parts {
            let work = async {
                match part {
                    Part::Servers => stage.start_servers(found.gateway, &programs.standin).await,
                    Part::Project => {
                        let proof = stage.prepare_project().await?;
                        log.commit(&stage.version().await?);
                        Ok(proof)
                    }
                    Part::State => stage.bootstrap_state().await,
                    Part::Zone => stage.bootstrap_zone().await,
                    Part::Registry => stage.bootstrap_registry().await,
                    Part::Media => stage.apply_media().await,
                    Part::Ci => stage.deploy_in_ci().await,
                    Part::Plan => stage.first_plan().await,
                    Part::Deploy => stage.first_deploy().await,
                    Part::Load => stage.deploy_under_load().await,
                    Part::Break(chosen) => breaks::rehearse(stage, chosen).await,
                    Part::Rollback => stage.roll_back().await,
                }
            };
            log.chapter(part.name(), Box::pin(work)).await?;
        }
        Ok(())
    }
}

/// Looks what there is and what is missing, and says it.
async fn prepare(
    config: &Config,
    environment: &Environment,
    args: &StoryArgs,
    report: &Report,
) -> Result<(Found, Programs), Failure> {
    let name = &environment.name;
    report.headline(&format!("a rehearsal of {name} of {}", config.project));
    if is_dirty(&config.root).await? {
        report.warn("the tree has changes that are not committed: the last commit is rehearsed, without them");
    }
    for line in environment
        .stack()
        .map(|stack| rehearsed::differences(&config.root.join(&stack.folder)))
        .transpose()?
        .flatten()
        .unwrap_or_default()
    {
        report.warn(&line);
    }
    let (mut missing, database) = (values::missing(config, environment)?, values::takes_database(config)?);
    if environment.docker_hosts().is_some() && args.ci {
        missing.push("`--ci` is for a stack: no workflow deploys to a Docker host".to_owned());
    }
    for chosen in args.breaks.iter().filter(|chosen| !breaks::fits(**chosen, environment, database)) {
        missing.push(format!("there is nothing to break here: {}", breaks::chapter(*chosen)));
    }
    let found = Found::look(environment, database).await;
    for finding in &found.findings {
        match (&finding.found, finding.without) {
            (Ok(found), _) => report.detail(&format!("✓ {:<15} {found}", finding.name)),
            (Err(error), None) => report.detail(&format!("✗ {:<15} {error:#}", finding.name)),
            (Err(error), Some(without)) => {
                report.warn(&format!("{}: {error:#}\n      without it, {without}", finding.name));
            }
        }
    }
    let obstacles = found.obstacles();
    if !missing.is_empty() || !obstacles.is_empty() {
        let all = [missing, obstacles].concat().join("\n  ");
        return Err(Failure::Usage(anyhow!("the rehearsal of {name} cannot begin:\n  {all}")));
    }
    let programs = Programs::find()?;
    Ok((found, programs))
}

/// A chapter.
#[derive(Clone, Copy)]
enum Part {
    Servers,
    Project,
    State,
    Zone,
    Registry,
    Media,
    Ci,
    Plan,
    Deploy,
    Load,
    Break(Chosen),
    Rollback,
}

impl Part {
    /// For the account.
    fn name(self) -> &'static str {
        match self {
            Self::Servers => "servers",
            Self::Project => "project",
            Self::State => "bootstrap state",
            Self::Zone => "bootstrap zone",
            Self::Registry => "bootstrap registry",
            Self::Media => "media",
            Self::Ci => "deploy in CI",
            Self::Plan => "plan",
            Self::Deploy => "deploy",
            Self::Load => "deploy under load",
            Self::Break(chosen) => breaks::chapter(chosen),
            Self::Rollback => "rollback",
        }
    }
}
