//! `deploy`

use clap::Args;

use super::{Context, EnvironmentArg};
use crate::deploy::rollback::{Undo, undo};
use crate::deploy::{self, Deployed, Live, Request};
use crate::env::Env;
use crate::failure::Failure;
use crate::targets::Target;

/// Build the service, start it beside the running release, verify it, and switch to it
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask deploy
  cargo xtask deploy local --dry-run
  cargo xtask deploy local --resume     continue after a crash or Ctrl-C

A deploy with new migrations first starts the release that serves on the schema that they leave, in a temporary database. If it
does not become ready there, it could not be brought back, and the deploy is refused (exit code 21): see --no-way-back.

A tree with uncommitted changes can be deployed to `local` only. Its version contains `-dirty-`.")]
pub struct DeployArgs {
    #[command(flatten)]
    environment: EnvironmentArg,
    /// Show what would happen and change nothing
    #[arg(long, conflicts_with = "resume")]
    dry_run: bool,
    /// Continue an interrupted deploy; finished steps are not repeated
    #[arg(long)]
    resume: bool,
    /// Deploy although the release that serves cannot start on the schema that the new migrations leave
    #[arg(long)]
    no_way_back: bool,
    /// A message for others who find the environment locked
    #[arg(long, short)]
    message: Option<String>,
}

impl DeployArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.environment.environment)?;
        let target = Target::of(&env);
        if self.dry_run {
            for line in deploy::outlook(&env, &target).await? {
                env.report.note(&line);
            }
            env.report.note("nothing was changed");
            return Ok(());
        }
        let Self { resume, no_way_back, message, .. } = self;
        let request = Request { resume, no_way_back, message: message.as_deref() };
        let deployed = deploy::deploy(&env, &target, request).await?;
        let (label, live) = match &deployed {
            Deployed::Live(live) => ("live", live),
            Deployed::Unchanged(live) => ("unchanged", live),
        };
        summarize(&env, &target, label, live).await;
        Ok(())
    }
}

/// Shows the last lines of a deploy or rollback: address and version, disabled features, hints, how to undo it.
pub async fn summarize(env: &Env<'_>, target: &Target<'_>, label: &str, live: &Live) {
    let mut rows = vec![(label, format!("{}   {}   {}", live.address, live.version, env.report.elapsed()))];
    for (feature, why) in &live.features_off {
        rows.push(("off", format!("{feature}: {why}")));
    }
    rows.extend(target.hints());
    if let Some(Undo { version, command }) = undo(env, target).await {
        rows.push(("undo", format!("{command}     ({version} is kept)")));
    }
    env.report.summary(&rows);
}
