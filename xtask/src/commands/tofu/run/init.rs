//! `tofu init`

use serde_json::json;

use super::enter;
use crate::commands::Context;
use crate::commands::tofu::InitArgs;
use crate::failure::Failure;
use crate::report::Step;
use crate::tofu;

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
