//! `tofu init`

use clap::Args;
use serde_json::json;

use super::super::{Context, StackArg};
use super::enter;
use crate::failure::Failure;
use crate::report::Step;
use crate::tofu;

/// Initialize the stack's backend and providers; other commands do it when something has changed
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask tofu init production

The passphrase TF_STATE_PASSPHRASE encrypts state and plans. It comes from .env.<ENV>, else from the environment, and so do
the credentials of providers and bucket (AWS_ACCESS_KEY_ID, SCW_SECRET_KEY, …) and secret variables of the stack (TF_VAR_…).")]
pub struct InitArgs {
    #[command(flatten)]
    stack: StackArg,
}

impl InitArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.stack.environment)?;
        let workspace = enter(&env, "init").await?;
        let done = env.report.step(Step::Init, async |step| tofu::init(&workspace, step, &env.stop).await).await?;
        let state = env.state_location()?;
        let text = format!("{} is initialized; its state is {state}", env.name());
        let detail = json!({ "environment": env.name(), "stack": workspace.stack.folder, "state": state, "version": done.version });
        env.report.result(detail, &text);
        Ok(())
    }
}
