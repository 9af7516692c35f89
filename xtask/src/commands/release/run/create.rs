//! `release create`

use serde_json::json;

use super::detail;
use crate::commands::Context;
use crate::commands::release::CreateArgs;
use crate::failure::Failure;
use crate::releases::create::{create, main_commit};
use crate::report::Step;

impl CreateArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.environment.environment)?;
        let github = env.github().await?;
        let source = env.report.step(Step::Source, async |_: &_| main_commit(&env).await).await?;
        let made = async |step: &_| Box::pin(create(&env, &github, &source, step)).await;
        let created = env.report.step(Step::Release, made).await?;
        let mut result = detail(&created.release);
        result["made"] = json!(created.made);
        result["manifest"] = json!(created.manifest);
        env.report.result(result, &created.release.tag_name);
        Ok(())
    }
}
