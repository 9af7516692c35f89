//! `tofu apply`: applies a kept plan, once.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::anyhow;
use jiff::Timestamp;
use tokio::sync::Notify;

use super::drive::{Ended, follow};
use super::interrupted::{self, Applying};
use super::plan::{PlanPath, Planned};
use super::unseen::{self, Unseen};
use super::{Workspace, approval, recover};
use crate::failure::Failure;
use crate::release::Source;
use crate::report::{Ongoing, Part, Summary};
use crate::signals::Stop;
use crate::tools::tofu::Tofu;
use crate::tools::tofu::event::{Counts, Event};
use crate::tools::tofu::state::ErroredResource;

/// What an apply did.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// How many resources were created, updated and deleted.
    pub counts: Counts,
    /// Resources that exist now and whose status is `error`.
    pub errored: Vec<ErroredResource>,
    /// The condition of the resources that only the platform's API tells.
    pub unseen: Vec<Unseen>,
}

/// Applies a plan that was approved. `source` is what is checked out now. This must be awaited to its end: the first request
/// to stop interrupts OpenTofu, which then saves the state; the second one kills it. The working folder is initialized.
pub async fn perform(
    workspace: &Workspace<'_>,
    planned: &Planned,
    source: &Source,
    step: &Ongoing,
    stop: &Stop,
) -> Result<Applied, Failure> {
    planned.guard()?;
    if !planned.has_changes {
        return Ok(Applied::default());
    }
    let (tofu, file) = take_plan(workspace, planned, source).await.map_err(Failure::untouched)?;
    let mut progress = Progress { step, running: BTreeMap::new(), has_begun: false, counts: None };
    let command = tofu.apply(file.as_path());
    // What it makes is in its state even if this process is killed.
    let started = command.follow_outliving()?;
    let applying = started.pid().map(|pid| Applying::begin(workspace, pid)).transpose()?;
    // The first operation: it has the lock, and no other process can have it.
    let has_lock = Notify::new();
    let take = |event: &Event| {
        if matches!(event, Event::ApplyStart { .. }) {
            has_lock.notify_one();
        }
        progress.take(event);
    };
    let learning = async {
        has_lock.notified().await;
        if let Some(applying) = applying {
            applying.learn_lock(workspace).await;
        }
    };
    let mut ended = {
        let mut following = std::pin::pin!(follow(workspace, &command, started, stop, take));
        tokio::select! {
            ended = &mut following => ended,
            () = learning => following.await,
        }?
    };
    // One that a signal has ended may have left its lock.
    if ended.status.code().is_some() {
        interrupted::end(workspace)?;
    }
    let Progress { running, has_begun, counts, .. } = progress;
    if !ended.status.success() {
        if !has_begun && ended.unsaved_state.is_none() {
            return Err(ended.failure(workspace, "apply").untouched());
        }
        let unsaved = recover::keep_unsaved_state(workspace, ended.unsaved_state.take())?;
        return Err(failure(workspace, ended, running.into_keys().collect(), unsaved));
    }
    let mut applied = Applied { counts: counts.unwrap_or_default(), ..Applied::default() };
    match tofu.state().await {
        Ok(state) => {
            applied.errored = state.errored_resources();
            applied.unseen = unseen::ask(workspace, &state).await;
        }
        Err(error) => {
            workspace.env.report.warn(&format!("the status of the resources could not be read: {error:#}"));
        }
    }
    Ok(applied)
}

/// Takes the plan out of the store, into a file: once OpenTofu has begun, it is of a state that no longer exists.
async fn take_plan(workspace: &Workspace<'_>, planned: &Planned, source: &Source) -> Result<(Tofu, PlanPath), Failure> {
    recover::refuse_unsaved_state(workspace)?;
    let record = planned.kept.as_ref().ok_or_else(|| approval::refused(workspace.name(), "the plan was not kept"))?;
    approval::check(record, workspace.name(), workspace.stack, source, Timestamp::now())?;
    let (tofu, file) = (workspace.tofu()?, PlanPath::new(workspace)?);
    workspace.plan_store()?.take(record, file.as_path()).await?;
    Ok((tofu, file))
}

impl Summary for Applied {
    fn summary(&self) -> String {
        let Counts { add, change, remove } = self.counts;
        format!("{add} created, {change} changed, {remove} deleted")
    }
}

/// Shows each operation as a part of the step.
struct Progress<'a> {
    step: &'a Ongoing,
    /// Operations that have begun, with their time.
    running: BTreeMap<String, Instant>,
    /// Whether an operation has begun.
    has_begun: bool,
    counts: Option<Counts>,
}

impl Progress<'_> {
    fn take(&mut self, event: &Event) {
        match event {
            Event::ApplyStart { hook } => {
                self.has_begun = true;
                self.running.insert(hook.resource.addr.clone(), Instant::now());
            }
            Event::ApplyComplete { hook } => {
                let took = self.running.remove(&hook.resource.addr).map_or(hook.elapsed, |began| began.elapsed());
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
        // The one that has taken longest.
        if let Some((address, began)) = self.running.iter().min_by_key(|(_, began)| **began) {
            let others = match self.running.len() {
                1 => String::new(),
                more => format!(" (and {} more)", more - 1),
            };
            self.step.progress_since(&format!("{address}{others}"), *began);
        }
    }
}

/// The failure of an apply, with what it left and the next command to type.
fn failure(workspace: &Workspace<'_>, ended: Ended, running: Vec<String>, unsaved: Option<String>) -> Failure {
    let (name, killed) = (workspace.name(), ended.killed);
    let next = if let Some(unsaved) = unsaved {
        unsaved
    } else if killed {
        let running = if running.is_empty() { "none".to_owned() } else { running.join(", ") };
        format!("operations in progress: {running}")
    } else {
        format!("operations that finished are in the state; to continue, type: cargo xtask tofu plan {name}")
    };
    match ended.failure(workspace, "apply") {
        Failure::Failed(error) => Failure::Failed(error.context(next)),
        Failure::Aborted(error) => Failure::Aborted(anyhow!("{error:#}\n  {next}")),
        other => other,
    }
}
