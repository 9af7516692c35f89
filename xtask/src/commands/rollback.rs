//! `rollback`

use clap::Args;

use super::deploy::{ApprovalArgs, show};
use super::{Context, EnvironmentArg};
use crate::deploy::rollback;
use crate::failure::Failure;
use crate::targets::Target;

/// Go back to an earlier release
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask rollback                     to the release before this one
  cargo xtask rollback local --to 3f9c2d   to the newest release whose version begins with 3f9c2d
  cargo xtask history                      lists the releases

Refused (exit code 21) when a migration came in between that is marked `-- irreversible`, or on whose schema the release before it \
did not start when it was deployed.")]
pub struct RollbackArgs {
    #[command(flatten)]
    environment: EnvironmentArg,
    /// Version or commit to go back to, or its beginning
    #[arg(long, value_name = "VERSION")]
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
        let approval = self.approval.of(&target, env.name())?;
        let command = match &self.to {
            Some(to) => format!("rollback {} --to {to}", env.name()),
            None => format!("rollback {}", env.name()),
        };
        let ended = rollback::rollback(&env, &target, self.to.as_deref(), self.dry_run, approval).await?;
        match ended {
            Some(ended) => show(&env, &target, &ended, &command).await,
            None => Ok(()),
        }
    }
}
