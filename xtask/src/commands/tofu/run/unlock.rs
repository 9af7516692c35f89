//! `tofu unlock`

use serde_json::json;

use super::{enter, initialize};
use crate::commands::Context;
use crate::commands::tofu::UnlockArgs;
use crate::failure::Failure;
use crate::tofu::recover::unlock;

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
