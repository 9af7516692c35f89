//! What was changed outside of OpenTofu since the last apply, found by a plan that only reads (`plan -refresh-only`).

use serde::Serialize;

use super::Workspace;
use super::drive::drive;
use super::plan::{CHANGES, PlanPath};
use super::variables::ReleaseVariables;
use crate::failure::Failure;
use crate::report::{Ongoing, Summary};
use crate::signals::Stop;
use crate::tools::tofu::event::Event;
use crate::tools::tofu::plan::{Action, Change};

/// What differs from the state.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StackDrift {
    /// How many resources were read.
    pub read: usize,
    /// Resources that were changed or deleted.
    pub resources: Vec<Change>,
    /// Outputs whose values are different now.
    pub outputs: Vec<String>,
}

impl StackDrift {
    /// A line for each.
    pub fn lines(&self) -> Vec<String> {
        let resource = |change: &Change| match change.action {
            Action::Delete => format!("{} was deleted outside of OpenTofu", change.address),
            _ if change.attributes.is_empty() => format!("{} was changed outside of OpenTofu", change.address),
            _ => format!("{} was changed outside of OpenTofu: {}", change.address, change.attributes.join(", ")),
        };
        let outputs = self.outputs.iter().map(|name| format!("the output {name} has another value now"));
        self.resources.iter().map(resource).chain(outputs).collect()
    }
}

impl Summary for StackDrift {
    fn summary(&self) -> String {
        match self.lines().len() {
            0 => format!("{} resources are as they were applied", self.read),
            1 => "1 difference".to_owned(),
            more => format!("{more} differences"),
        }
    }
}

/// Reads every resource and compares it with the state, which is not locked and not changed. Only where something differs, a second
/// plan says which attributes do: the file that names them is encrypted, and deriving the key for that takes as long as a plan.
pub async fn find(
    workspace: &Workspace<'_>,
    release: Option<&ReleaseVariables<'_>>,
    step: &Ongoing,
    stop: &Stop,
) -> Result<StackDrift, Failure> {
    let mut tofu = workspace.tofu()?;
    if let Some(release) = release {
        tofu = release.add_to(workspace, tofu)?.0;
    }
    let mut read = 0;
    let command = tofu.refresh_only(None);
    let reading = drive(workspace, &command, stop, |event| {
        if let Event::RefreshStart { hook } = event {
            read += 1;
            step.progress(&format!("{read} read: {}", hook.resource.addr));
        }
    });
    let ended = reading.await?;
    let mut drift = StackDrift { read, ..StackDrift::default() };
    if ended.interrupted.is_some() || ended.status.code() != Some(CHANGES) {
        ended.success(workspace, "plan")?;
        return Ok(drift);
    }
    let file = PlanPath::create(workspace)?;
    step.progress("reading what differs");
    let ended = drive(workspace, &tofu.refresh_only(Some(file.as_path())), stop, |_| {}).await?;
    if ended.interrupted.is_some() || ended.status.code() != Some(CHANGES) {
        // It was put right meanwhile.
        ended.success(workspace, "plan")?;
        return Ok(drift);
    }
    let plan = workspace.query(stop, tofu.show(file.as_path())).await?;
    drift.resources = plan.drift.all.into_iter().filter(|change| change.action != Action::Move).collect();
    let changed = plan.outputs.into_iter().filter(|(_, output)| output.action != Action::Nothing);
    drift.outputs = changed.map(|(name, _)| name).collect();
    Ok(drift)
}
