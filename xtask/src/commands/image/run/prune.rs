//! `image prune`

use anyhow::anyhow;
use serde_json::{Value, json};

use super::list::{detail, line};
use crate::commands::Context;
use crate::commands::image::PruneArgs;
use crate::confirm::confirmed;
use crate::failure::Failure;
use crate::image::ServiceImage;
use crate::image::prune::{Options, Plan, delete, make_plan};
use crate::image::size::human_bytes;

impl PruneArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.environment.environment)?;
        let image = ServiceImage::find(&env)?;
        let options = Options { keep: self.keep, never_deployed: &self.never_deployed };
        let plan = make_plan(&image, options).await?;
        if self.dry_run {
            if !plan.unknown.is_empty() {
                env.report.warn(&plan.warning());
            }
            env.report.result(result(&plan, &[]), &text(&plan));
            return Ok(());
        }
        plan.guard()?;
        if plan.delete.is_empty() {
            env.report.result(result(&plan, &[]), &text(&plan));
            return Ok(());
        }
        env.report.headline(&text(&plan));
        if !self.yes {
            let command = self.command(env.name());
            let question = format!("Delete {} images? They cannot be restored.", plan.delete.len());
            if !confirmed(&env.report, &env.stop, &question, "nothing was deleted").await? {
                let error = anyhow!("nothing was deleted; to delete, type: {command} --yes");
                return Err(Failure::Refused(error));
            }
            if make_plan(&image, options).await? != plan {
                return Err(Failure::Refused(anyhow!(
                    "nothing was deleted: the registry or the records changed while you were deciding\n  \
                     to see the new plan, type: {command}"
                )));
            }
        }
        let deleted = delete(&image, &plan).await?;
        let (count, freed) = (deleted.len(), human_bytes(plan.freed));
        let text = format!("deleted {count}; the registry's next garbage collection frees {freed}");
        env.report.result(result(&plan, &deleted), &text);
        Ok(())
    }

    /// The same command: with other options, another one than the shown plan would be carried out.
    fn command(&self, environment: &str) -> String {
        let never_deployed: String = self.never_deployed.iter().map(|env| format!(" --never-deployed {env}")).collect();
        format!("cargo xtask image prune {environment} --keep {}{never_deployed}", self.keep)
    }
}

fn text(plan: &Plan) -> String {
    let keep = plan.keep.iter().map(|(image, reason)| format!("  keep    {}", line(image, reason)));
    let delete = plan.delete.iter().map(|(image, _)| format!("  delete  {}", line(image, "")));
    let (kept, deleted, freed) = (plan.keep.len(), plan.delete.len(), human_bytes(plan.freed));
    let last = format!("{kept} to keep, {deleted} to delete, which frees {freed}");
    keep.chain(delete).chain([last]).collect::<Vec<_>>().join("\n")
}

fn result(plan: &Plan, deleted: &[String]) -> Value {
    let kept: Vec<Value> =
        plan.keep.iter().map(|(image, reason)| detail(image, Some(std::slice::from_ref(reason)))).collect();
    let delete: Vec<Value> = plan.delete.iter().map(|(image, _)| detail(image, Some(&[]))).collect();
    json!({
        "kept": kept,
        "delete": delete,
        "deleted": deleted,
        "freed_bytes": plan.freed,
        "without_live_release": plan.unknown,
    })
}
