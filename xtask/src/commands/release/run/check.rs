//! `release check`

use super::{checked, text};
use crate::commands::Context;
use crate::commands::release::CheckArgs;
use crate::failure::Failure;
use crate::releases::candidate::{examine, find};
use crate::releases::tree::compare;

impl CheckArgs {
    /// Runs the command. Fails when a check fails.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.environment.environment)?;
        let github = env.github().await?;
        let found = find(&github, &self.tag).await?;
        let mut candidate = examine(&env, &github, found, self.allow_older).await?;
        candidate.checks.push(compare(&env, &candidate, self.checked_out).await?);
        env.report.result(checked(&candidate), &text(&candidate));
        candidate.guard("deployed")
    }
}
