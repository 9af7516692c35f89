//! `tofu apply`

use anyhow::anyhow;
use serde_json::json;

use super::{enter, initialize, tell};
use crate::commands::Context;
use crate::commands::tofu::ApplyArgs;
use crate::config::Approvals;
use crate::confirm::confirmed;
use crate::failure::Failure;
use crate::report::{Step, Summary as _};
use crate::state::plan_store::PlanRecord;
use crate::tofu::plan::Planned;
use crate::tofu::{Workspace, apply, approval, plan, unseen};
use crate::tools::git;

impl ApplyArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.stack.environment)?;
        let workspace = enter(&env, "apply").await?;
        initialize(&workspace).await?;
        let planned = plan::kept(&workspace, &env.stop).await?;
        planned.guard()?;
        let details = planned.details();
        env.report.headline(&format!("{}: {}\n\n{}", env.name(), details.counts(), details.text()));
        if let Some(record) = &planned.kept {
            approve(&workspace, &planned, record, self.approve.as_deref()).await?;
        }
        // The user may have taken an hour to answer.
        let source = git::source(env.root(), git::Filters::Run).await?;
        let perform = async |step: &_| apply::perform(&workspace, &planned, &source, step, &env.stop).await;
        let applied = env.report.step(Step::Apply, perform).await?;
        for resource in &applied.errored {
            env.report.warn(&resource.to_string());
        }
        tell(&env, &applied.unseen);
        let detail = json!({
            "environment": env.name(),
            "created": applied.counts.add,
            "changed": applied.counts.change,
            "deleted": applied.counts.remove,
            "plan": planned.kept.as_ref().map(|record| &record.plan),
            "errored": applied.errored,
            "unseen": applied.unseen,
        });
        let text = format!("{}; outputs: cargo xtask tofu output {}", applied.summary(), env.name());
        env.report.result(detail, &text);
        unseen::refuse_exposed(&applied.unseen)
    }
}

/// Fails unless the plan is approved: by its digest, by the user's answer, or because deploy.yaml requires no approval.
async fn approve(
    workspace: &Workspace<'_>,
    planned: &Planned,
    record: &PlanRecord,
    given: Option<&str>,
) -> Result<(), Failure> {
    let (env, name) = (workspace.env, workspace.name());
    match given {
        Some(given) if given == record.approval() => return Ok(()),
        Some(_) => return Err(approval::refused(name, "the approval is for another plan than the one that is kept")),
        None => match workspace.stack.approval {
            Approvals::No => return Ok(()),
            Approvals::BeyondTheRelease if planned.changes_only_the_release() => return Ok(()),
            Approvals::BeyondTheRelease | Approvals::Every => {}
        },
    }
    if confirmed(&env.report, &env.stop, &format!("Apply this to {name}?"), "nothing was applied").await? {
        return Ok(());
    }
    Err(Failure::Refused(anyhow!(
        "nothing was applied: the plan is not approved; to approve it, type: cargo xtask tofu apply {name} --approve {}",
        record.approval()
    )))
}
