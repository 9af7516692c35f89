//! `tofu recover`

use serde_json::json;

use super::{enter, initialize};
use crate::commands::Context;
use crate::commands::tofu::RecoverArgs;
use crate::failure::Failure;
use crate::tofu::recover::{has_unsaved_state, recover};

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
