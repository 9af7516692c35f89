//! `release prune`

use anyhow::anyhow;
use serde_json::{Value, json};

use super::{detail, line};
use crate::commands::Context;
use crate::commands::release::PruneArgs;
use crate::confirm::confirmed;
use crate::failure::Failure;
use crate::releases::prune::{Options, Plan, delete, make_plan};

impl PruneArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.environment.environment)?;
        let github = env.github().await?;
        let options = Options { keep: self.keep, never_deployed: &self.never_deployed };
        let plan = make_plan(&env, &github, options).await?;
        if self.dry_run && !plan.unknown.is_empty() {
            env.report.warn(&plan.warning());
        }
        if !self.dry_run {
            plan.guard()?;
        }
        if self.dry_run || plan.delete.is_empty() {
            env.report.result(result(&plan, &[]), &text(&plan));
            return Ok(());
        }
        env.report.headline(&text(&plan));
        if !self.yes {
            let command = self.command(env.name());
            let question = format!("Delete {} pre-releases and their tags?", plan.delete.len());
            if !confirmed(&env.report, &env.stop, &question, "nothing was deleted").await? {
                return Err(Failure::Refused(anyhow!("nothing was deleted; to delete, type: {command} --yes")));
            }
            if make_plan(&env, &github, options).await? != plan {
                return Err(Failure::Refused(anyhow!(
                    "nothing was deleted: the releases or the records changed while you were deciding\n  \
                     to see the new plan, type: {command}"
                )));
            }
        }
        let deleted = delete(&github, &plan).await?;
        env.report.result(result(&plan, &deleted), &format!("deleted {}", deleted.len()));
        Ok(())
    }

    /// The same command: with other options, another one than the shown plan would be carried out.
    fn command(&self, environment: &str) -> String {
        let never_deployed: String = self.never_deployed.iter().map(|env| format!(" --never-deployed {env}")).collect();
        format!("cargo xtask release prune {environment} --keep {}{never_deployed}", self.keep)
    }
}

fn text(plan: &Plan) -> String {
    let keep = plan.keep.iter().map(|(release, reason)| format!("  keep    {}", line(release, reason)));
    let delete = plan.delete.iter().map(|release| format!("  delete  {}", line(release, "")));
    let last = format!("{} to keep, {} to delete", plan.keep.len(), plan.delete.len());
    keep.chain(delete).chain([last]).collect::<Vec<_>>().join("\n")
}

fn result(plan: &Plan, deleted: &[String]) -> Value {
    let kept = plan.keep.iter().map(|(release, reason)| {
        let mut kept = detail(release);
        kept["reason"] = json!(reason);
        kept
    });
    json!({
        "kept": kept.collect::<Vec<_>>(),
        "delete": plan.delete.iter().map(detail).collect::<Vec<_>>(),
        "deleted": deleted,
        "without_live_release": plan.unknown,
    })
}
