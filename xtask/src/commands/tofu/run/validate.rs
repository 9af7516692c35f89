//! `tofu validate`

use serde_json::json;

use super::enter;
use crate::commands::Context;
use crate::commands::tofu::ValidateArgs;
use crate::failure::Failure;
use crate::tofu;
use crate::tools::tofu::diagnostic::Diagnostics;

impl ValidateArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.stack.environment)?;
        let workspace = enter(&env, "validate").await?;
        let folder = &workspace.stack.folder;
        let found = tofu::validate(&workspace, &env.stop).await?;
        for warning in &found.warnings {
            env.report.warn(&warning.text(folder));
        }
        if !found.errors.is_empty() {
            let errors = Diagnostics::new(found.errors, folder);
            return Err(errors.into_error().context(format!("{folder} is not valid")).into());
        }
        let detail = json!({ "stack": folder, "valid": true, "warnings": found.warnings.len() });
        env.report.result(detail, &format!("{folder} is valid"));
        Ok(())
    }
}
