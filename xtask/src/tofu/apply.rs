//! `tofu apply`: does what was planned and approved, and nothing else.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::anyhow;
use jiff::Timestamp;
use serde_json::json;

use super::approval::{Record, again};
use super::drive::{Ended, drive};
use super::summary::Summary;
use super::{Infra, guard, mend, ready};
use crate::confirm::confirmed;
use crate::failure::Failure;
use crate::report::{Ongoing, Part, Step};
use crate::tools::git;
use crate::tools::tofu::event::{Counts, Event};
use crate::tools::tofu::state::Ailing;

/// Applies the plan that is kept, if everything that it was made of is still so and somebody has said yes to it.
pub async fn apply(infra: &Infra<'_>, approve: Option<&str>) -> Result<(), Failure> {
    let _lock = infra.enter("apply")?;
    mend::nothing_unsaved(infra)?;
    ready::prepare(infra, false).await?;
    let shelf = infra.shelf();
    let record = shelf.find()?.ok_or_else(|| again(infra.name, "there is no plan"))?;
    let source = git::source(&infra.config.root).await?;
    let file = shelf.plan();
    record.fits(infra.stack, &source, &file, Timestamp::now())?;
    let protected = guard::protected(&infra.config.root, infra.name, infra.stack).await?;
    let tofu = infra.tofu()?;
    let (plan, state) = infra.ask(async { tokio::try_join!(tofu.show(&file), tofu.state_version()) }).await?;
    record.is_of(&state)?;
    let refusals = guard::refusals(&plan, &protected);
    if !refusals.is_empty() {
        return Err(guard::refused(infra.name, &refusals));
    }
    let summary = Summary { environment: infra.name, plan: &plan, protected: &protected, refusals: &refusals };
    infra.report.headline(&format!("{}: {}\n\n{}", infra.name, summary.counts(), summary.text()));
    approved(infra, &record, approve).await?;
    // Whoever thinks about it may do so for long.
    record.fits(infra.stack, &git::source(&infra.config.root).await?, &file, Timestamp::now())?;

    let step = infra.report.begin(Step::Apply);
    let mut progress = Progress { step: &step, running: BTreeMap::new(), done: 0, counts: None };
    let mut ended = drive(infra, &tofu.apply(&file), |event| progress.take(event)).await?;
    let Progress { running, done, counts, .. } = progress;
    if !ended.status.success() {
        step.fail(&format!("{done} done"));
        // What it had done is in the state now: the plan is of a state that is no more.
        shelf.clear()?;
        let unsaved = mend::keep_unsaved(infra, ended.state.take())?;
        return Err(broken(infra, ended, running.into_keys().collect(), unsaved));
    }
    let Counts { add, change, remove } = counts.unwrap_or_default();
    let text = format!("{add} made, {change} changed, {remove} deleted");
    step.finish(&text);
    shelf.clear()?;
    let ailing = tofu.ailing().await.unwrap_or_else(|error| {
        infra.report.warn(&format!("whether all of it works is not known: {error:#}"));
        Vec::new()
    });
    for Ailing { address, message } in &ailing {
        let message = message.as_deref().unwrap_or("it does not say why");
        infra.report.warn(&format!("{address} is applied and its status is error: {message}"));
    }
    let detail = json!({
        "environment": infra.name, "made": add, "changed": change, "deleted": remove, "plan": record.plan, "ailing": ailing,
    });
    infra.report.result(detail, &format!("{text}; outputs: cargo xtask tofu output {}", infra.name));
    Ok(())
}

/// Somebody says yes to this plan.
async fn approved(infra: &Infra<'_>, record: &Record, approve: Option<&str>) -> Result<(), Failure> {
    let name = infra.name;
    match approve {
        Some(given) if given == record.approval() => Ok(()),
        Some(_) => Err(again(name, "what was approved is another plan than the one that is kept")),
        None if !infra.stack.approval => Ok(()),
        None => {
            let question = format!("Apply this to {name}?");
            if confirmed(&infra.report, &infra.env.stop, &question, "nothing was applied").await? {
                return Ok(());
            }
            Err(Failure::Refused(anyhow!(
                "nothing was applied: the plan is not approved; to approve it, type: cargo xtask tofu apply {name} --approve {}",
                record.approval()
            )))
        }
    }
}

/// Tells of each resource.
struct Progress<'a> {
    step: &'a Ongoing,
    /// What is under way, since when.
    running: BTreeMap<String, Instant>,
    done: usize,
    counts: Option<Counts>,
}

impl Progress<'_> {
    fn take(&mut self, event: &Event) {
        match event {
            Event::ApplyStart { hook } => {
                self.running.insert(hook.resource.addr.clone(), Instant::now());
            }
            Event::ApplyComplete { hook } => {
                let took = self.running.remove(&hook.resource.addr).map_or(hook.elapsed, |began| began.elapsed());
                self.done += 1;
                self.step.part(&format!("{} {}", hook.action, hook.resource.addr), Part::Done(took));
            }
            Event::ApplyErrored { hook } => {
                self.running.remove(&hook.resource.addr);
                self.step.part(&format!("{} {} failed", hook.action, hook.resource.addr), Part::Without);
            }
            Event::ChangeSummary { changes } => self.counts = Some(*changes),
            Event::RefreshStart { .. }
            | Event::ResourceDrift
            | Event::Diagnostic { .. }
            | Event::Log { .. }
            | Event::Other => {}
        }
        // The one that takes longest is what is waited for.
        if let Some((address, began)) = self.running.iter().min_by_key(|(_, began)| **began) {
            let beside = match self.running.len() {
                1 => String::new(),
                more => format!(" (and {} beside it)", more - 1),
            };
            self.step.progress_since(&format!("{address}{beside}"), *began);
        }
    }
}

/// What went wrong, what it left, and what to type.
fn broken(infra: &Infra<'_>, ended: Ended, running: Vec<String>, unsaved: Option<String>) -> Failure {
    let (name, killed) = (infra.name, ended.killed);
    let failure = ended.failure(infra, "apply");
    let next = if let Some(unsaved) = unsaved {
        unsaved
    } else if killed {
        format!("under way were: {}", if running.is_empty() { "none".to_owned() } else { running.join(", ") })
    } else {
        format!("what was done before is in the state; to go on, type: cargo xtask tofu plan {name}")
    };
    match failure {
        Failure::Failed(error) => Failure::Failed(error.context(next)),
        Failure::Aborted(error) => Failure::Aborted(anyhow!("{error:#}\n  {next}")),
        other => other,
    }
}
