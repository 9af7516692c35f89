//! After something went wrong: a state that could not be saved, a lock that its holder left.

use anyhow::{Context as _, anyhow};
use camino::Utf8PathBuf;

use super::Workspace;
use crate::failure::Failure;
use crate::fs::replace_file;
use crate::signals::Stop;

/// The file in the stack's folder into which OpenTofu writes a state that it could not save.
const ERRORED: &str = "errored.tfstate";

/// Whether there is a state that an apply could not save.
pub fn has_unsaved_state(workspace: &Workspace<'_>) -> bool {
    unsaved_state(workspace).exists()
}

/// Saves the state that an apply could not save. The working folder is initialized.
pub async fn recover(workspace: &Workspace<'_>, stop: &Stop) -> Result<(), Failure> {
    let (tofu, folder) = (workspace.tofu()?, unsaved_state(workspace));
    let state = workspace.query(stop, tofu.state_in(&folder)).await?;
    tofu.push(&state).await.map_err(|error| super::drive::explain(workspace, error))?;
    Ok(fs_err::remove_dir_all(&folder).context("remove the local copy of the state")?)
}

/// Removes the state's lock with this id. The working folder is initialized.
pub async fn unlock(workspace: &Workspace<'_>, id: &str) -> Result<(), Failure> {
    workspace.tofu()?.unlock(id).await.map_err(|error| super::drive::explain(workspace, error))
}

/// Fails if an earlier apply could not save its state: nothing may be planned or applied without it.
pub(super) fn refuse_unsaved_state(workspace: &Workspace<'_>) -> Result<(), Failure> {
    if !has_unsaved_state(workspace) {
        return Ok(());
    }
    Err(Failure::Refused(anyhow!(
        "an earlier apply to {0} could not save the state, which is kept in {1}\n  to save it, type: cargo xtask tofu recover {0}",
        workspace.name(),
        unsaved_state(workspace)
    )))
}

/// Keeps a state that could not be saved: the file that OpenTofu left in the stack's folder, or, if it could not write that
/// either, the state that it `printed`. Returns where it is and what to type, or none if the state was saved.
pub(super) fn keep_unsaved_state(
    workspace: &Workspace<'_>,
    printed: Option<String>,
) -> Result<Option<String>, Failure> {
    let errored = workspace.stack_folder().join(ERRORED);
    let (folder, location) = (unsaved_state(workspace), workspace.env.state_location()?);
    let recover = format!("when {location} can be written again, type: cargo xtask tofu recover {}", workspace.name());
    // Unencrypted state has been redacted and cannot be used.
    let Some(state) = printed.filter(|_| workspace.stack.state.encrypted) else {
        if !errored.exists() {
            return Ok(None);
        }
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        let kept = fs_err::set_permissions(&errored, private)
            .and_then(|()| fs_err::create_dir_all(&folder))
            .and_then(|()| fs_err::rename(&errored, folder.join("terraform.tfstate")));
        kept.with_context(|| format!("move {errored} to {folder}"))?;
        return Ok(Some(format!("the state could not be saved and is kept in {folder}; {recover}")));
    };
    // An incomplete file, because the disk is full. Removing it frees space.
    fs_err::remove_file(&errored).ok();
    let file = folder.join("terraform.tfstate");
    let kept = fs_err::create_dir_all(&folder)
        .map_err(anyhow::Error::from)
        .and_then(|()| replace_file(&file, state.as_bytes()));
    Ok(Some(match kept {
        Ok(()) => format!("the state could not be saved and is kept in {folder}; {recover}"),
        // It is encrypted, so it can be printed; there is no other copy.
        Err(error) => {
            fs_err::remove_dir(&folder).ok();
            format!(
                "the state could not be saved anywhere ({error:#}): write the next line into {file}; {recover}\n{state}"
            )
        }
    }))
}

fn unsaved_state(workspace: &Workspace<'_>) -> Utf8PathBuf {
    workspace.folder().join("unsaved")
}
