//! `tofu unlock`

use clap::Args;
use serde_json::json;

use super::super::{Context, StackArg};
use super::{enter, initialize};
use crate::failure::Failure;
use crate::tofu::recover::unlock;

/// Remove a lock that an interrupted command left on the state
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask tofu unlock production --id 5e6c1d0a-9b3f-4a57-8e0b-0a4f2d1c7b11      the id that the refused command printed")]
pub struct UnlockArgs {
    #[command(flatten)]
    stack: StackArg,
    /// The lock's id
    #[arg(long)]
    id: String,
}

impl UnlockArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.stack.environment)?;
        let workspace = enter(&env, "unlock").await?;
        initialize(&workspace).await?;
        unlock(&workspace, &self.id).await?;
        let text = format!("the state of {0} is unlocked; next: cargo xtask tofu plan {0}", env.name());
        env.report.result(json!({ "unlocked": self.id }), &text);
        Ok(())
    }
}
