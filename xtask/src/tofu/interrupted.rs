//! An apply whose toolkit was killed: OpenTofu goes on without it, and may be killed itself.
//!
//! While OpenTofu applies, a file beside its working folder names its process and, once it works, the lock of the state. Only the
//! process that holds that lock applies, so the lock is certainly this one's. The next plan on this machine waits for a process that
//! still runs, and removes the lock of one that has ended without giving it back. Any other lock is told, with its command.

use std::time::Duration;

use anyhow::{Context as _, Result};
use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use super::{Workspace, recover};
use crate::failure::Failure;
use crate::fs::{found, replace_file};
use crate::report::Ongoing;
use crate::signals::Stop;
use crate::tools::host::Process;

/// The longest lock that is read, in bytes.
const LOCK_SIZE: u64 = 64 << 10;
/// Between two looks at a process that still applies.
const PAUSE: Duration = Duration::from_millis(100);

/// An apply under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Applying {
    /// OpenTofu's process.
    process: Process,
    /// The id of its lock, once that is known.
    lock: Option<String>,
}

impl Applying {
    /// Writes down which process applies.
    pub(super) fn begin(workspace: &Workspace<'_>, pid: u32) -> Result<Self> {
        let applying = Self { process: Process::of(pid.cast_signed()), lock: None };
        applying.write(workspace)?;
        Ok(applying)
    }

    /// Adds the id of the state's lock, which this process holds now. What cannot be read is left out: then a lock that is left
    /// behind is removed by hand.
    pub(super) async fn learn_lock(mut self, workspace: &Workspace<'_>) {
        if let Ok(Some(id)) = lock_id(workspace).await {
            self.lock = Some(id);
            self.write(workspace).ok();
        }
    }

    fn write(&self, workspace: &Workspace<'_>) -> Result<()> {
        let bytes = serde_json::to_vec(self).context("describe the apply as JSON")?;
        replace_file(&file(workspace), &bytes).context("write down which process applies")
    }
}

/// The apply has ended, and its toolkit has seen it.
pub(super) fn end(workspace: &Workspace<'_>) -> Result<()> {
    found(fs_err::remove_file(file(workspace))).context("remove the mark of the apply")?;
    Ok(())
}

/// Puts in order what an apply of a killed toolkit has left. The working folder is initialized.
pub async fn settle(workspace: &Workspace<'_>, step: &Ongoing, stop: &Stop) -> Result<(), Failure> {
    let Some(bytes) = found(fs_err::read(file(workspace))).context("look for an interrupted apply")? else {
        return Ok(());
    };
    let report = &workspace.env.report;
    // A damaged file names nothing that could be acted on.
    let applying: Option<Applying> = serde_json::from_slice(&bytes).ok();
    let Some(Applying { process, lock }) = applying else { return Ok(end(workspace)?) };
    if !process.is_known_dead() {
        report.note(&format!(
            "an interrupted run's `tofu apply` still runs (process {}); waiting until it has finished",
            process.pid
        ));
        let ends = async {
            while !process.is_known_dead() {
                step.progress(&format!("process {} applies", process.pid));
                tokio::time::sleep(PAUSE).await;
            }
            Ok(())
        };
        stop.cancels("OpenTofu goes on by itself", ends).await?;
    }
    if let Some(kept) = recover::keep_unsaved_state(workspace, None)? {
        report.warn(&kept);
    }
    if let Some(id) = lock
        && lock_id(workspace).await?.as_ref() == Some(&id)
    {
        recover::unlock(workspace, &id).await?;
        report.note(&format!("an interrupted apply has ended without giving the state's lock back; {id} is removed"));
    }
    Ok(end(workspace)?)
}

/// The id of the lock of the state; none if it is not locked.
async fn lock_id(workspace: &Workspace<'_>) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Lock {
        #[serde(rename = "ID")]
        id: String,
    }
    let env = workspace.env;
    // Where OpenTofu alone reads the bucket's key, the toolkit cannot look.
    if env.state_key("AWS_ACCESS_KEY_ID")?.is_none() {
        return Ok(None);
    }
    let bucket = env.state_bucket().map_err(Failure::into_error)?;
    let key = format!("{}.tflock", env.state_object().map_err(Failure::into_error)?);
    let object = bucket.get(&key, LOCK_SIZE).await.context("read the state's lock")?;
    let lock = object.and_then(|object| serde_json::from_slice::<Lock>(&object.bytes).ok());
    Ok(lock.map(|lock| lock.id))
}

fn file(workspace: &Workspace<'_>) -> Utf8PathBuf {
    workspace.folder().join("applying.json")
}
