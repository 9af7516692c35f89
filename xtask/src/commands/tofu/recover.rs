//! `tofu recover`

use clap::Args;
use serde_json::json;

use super::super::{Context, StackArg};
use super::{enter, initialize};
use crate::failure::Failure;
use crate::tofu::recover::{has_unsaved_state, recover};

/// Push the state that an apply could not save to its bucket
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask tofu recover production")]
pub struct RecoverArgs {
    #[command(flatten)]
    stack: StackArg,
}

impl RecoverArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.stack.environment)?;
        let workspace = enter(&env, "recover").await?;
        if !has_unsaved_state(&workspace) {
            env.report.result(json!({ "recovered": false }), "there is no unsaved state");
            return Ok(());
        }
        initialize(&workspace).await?;
        recover(&workspace, &env.stop).await?;
        let text =
            format!("the state is saved in {}; next: cargo xtask tofu plan {}", env.state_location()?, env.name());
        env.report.result(json!({ "recovered": true }), &text);
        Ok(())
    }
}
