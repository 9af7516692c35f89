//! `rollback`

use anyhow::anyhow;
use clap::Args;

use super::deploy::{ApprovalArgs, show};
use super::{Context, EnvironmentArg};
use crate::confirm::answer;
use crate::deploy::rollback::{self, releases};
use crate::env::Env;
use crate::failure::Failure;
use crate::targets::Target;

/// `--to` without a version.
const PICKED: &str = "";

/// How many releases are listed.
const LISTED: usize = 20;

/// Go back to an earlier release
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask rollback                     to the release before this one
  cargo xtask rollback local --to 3f9c2d   to the newest release whose version begins with 3f9c2d
  cargo xtask rollback local --to          to one that is picked from a list, at a terminal
  cargo xtask history                      lists the releases

Refused (exit code 21) when a migration came in between that is marked `-- irreversible`, or on whose schema the release before it \
did not start when it was deployed.")]
pub struct RollbackArgs {
    #[command(flatten)]
    environment: EnvironmentArg,
    /// Version or commit to go back to, or its beginning; without one, it is picked from a list
    #[arg(long, value_name = "VERSION", num_args = 0..=1, default_missing_value = PICKED)]
    to: Option<String>,
    /// Show what would happen and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    approval: ApprovalArgs,
}

impl RollbackArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.environment.environment)?;
        let target = Target::of(&env);
        let approval = self.approval.of(target.has_stack(), env.name())?;
        let to = match self.to {
            Some(to) if to == PICKED => Some(pick(&env).await?),
            to => to,
        };
        let command = match &to {
            Some(to) => format!("rollback {} --to {to}", env.name()),
            None => format!("rollback {}", env.name()),
        };
        let ended = rollback::rollback(&env, &target, to.as_deref(), self.dry_run, approval).await?;
        match ended {
            Some(ended) => show(&env, &target, &ended, &command).await,
            None => Ok(()),
        }
    }
}

/// Lets the user pick a release: its commit.
async fn pick(env: &Env<'_>) -> Result<String, Failure> {
    let mut releases = releases(env).await?;
    releases.truncate(LISTED);
    let wrong = |why: String| {
        let command = format!("cargo xtask rollback {} --to VERSION", env.name());
        Failure::Usage(anyhow!("{why}\n  to name one, type: {command}; cargo xtask history {} lists them", env.name()))
    };
    if releases.is_empty() {
        return Err(wrong("no other release was ever live".to_owned()));
    }
    let width = releases.iter().map(|release| release.version().len()).max().unwrap_or_default();
    for (index, release) in releases.iter().enumerate() {
        let subject = release.source.as_ref().map(|source| source.subject.as_str()).unwrap_or_default();
        let when = release.ended.strftime("%Y-%m-%d %H:%MZ");
        env.report.detail(&format!("{:>2}  {:<width$}  {when}  {subject}", index + 1, release.version()));
    }
    let question = format!("which of them (1-{})?", releases.len());
    let answer = answer(&env.report, &env.stop, &question, "nothing was changed").await?;
    let answer =
        answer.ok_or_else(|| wrong("`--to` has no version, and there is no terminal to pick one at".to_owned()))?;
    let picked = answer.parse::<usize>().ok().and_then(|number| releases.get(number.checked_sub(1)?));
    let source = picked.and_then(|release| release.source.as_ref());
    Ok(source.ok_or_else(|| wrong(format!("{answer:?} is none of them; nothing was changed")))?.commit.clone())
}
