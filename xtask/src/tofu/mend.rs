//! What is typed after something went wrong: a state that could not be saved, a lock that nobody holds any more.

use anyhow::{Context as _, Result, anyhow};
use serde_json::json;

use super::{Infra, ready};
use crate::failure::Failure;
use crate::state::store::replace_file;

/// Where the program leaves a state that it could not save, in the folder it runs in.
const UNSAVED: &str = "errored.tfstate";

/// Fails where an earlier apply could not save its state: nothing goes on without it.
pub fn nothing_unsaved(infra: &Infra<'_>) -> Result<(), Failure> {
    let folder = infra.unsaved_state();
    if !folder.exists() {
        return Ok(());
    }
    let text = format!(
        "an earlier apply to {0} could not save its state, which is kept in {folder}\n  put it in its place: cargo xtask tofu recover {0}",
        infra.name
    );
    Err(Failure::Refused(anyhow!(text)))
}

/// Keeps a state that could not be saved: what the program has left of it in the stack's folder, or what it has said, where
/// it could not leave it there either. Where it is, and what to type; none where it was saved.
pub fn keep_unsaved(infra: &Infra<'_>, said: Option<String>) -> Result<Option<String>> {
    let left = infra.config.root.join(&infra.stack.folder).join(UNSAVED);
    let (folder, place) = (infra.unsaved_state(), infra.state_place());
    let recover = format!("as soon as {place} can be written, type: cargo xtask tofu recover {}", infra.name);
    // A state that is not encrypted is masked by now, and is none.
    let Some(state) = said.filter(|_| infra.stack.state.encrypted) else {
        if !left.exists() {
            return Ok(None);
        }
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs_err::set_permissions(&left, closed)?;
        fs_err::create_dir_all(&folder)?;
        fs_err::rename(&left, folder.join("terraform.tfstate"))?;
        return Ok(Some(format!("the state could not be saved and is kept in {folder}; {recover}")));
    };
    // The beginning of it, which makes room if nothing else.
    fs_err::remove_file(&left).ok();
    let file = folder.join("terraform.tfstate");
    let kept = fs_err::create_dir_all(&folder).map_err(Into::into).and_then(|()| replace_file(&file, state.as_bytes()));
    Ok(Some(match kept {
        Ok(()) => format!("the state could not be saved and is kept in {folder}; {recover}"),
        // It is encrypted, and the last of what was made.
        Err(error) => {
            fs_err::remove_dir(&folder).ok();
            format!(
                "the state could be saved nowhere ({error:#}): write the next line into {file}, and {recover}\n{state}"
            )
        }
    }))
}

/// Puts the state in its place that an apply could not save.
pub async fn recover(infra: &Infra<'_>) -> Result<(), Failure> {
    let _lock = infra.enter("recover")?;
    let folder = infra.unsaved_state();
    if !folder.exists() {
        infra.report.result(json!({ "recovered": false }), "there is nothing to recover");
        return Ok(());
    }
    ready::prepare(infra, false).await?;
    let tofu = infra.tofu()?;
    let state = infra.ask(tofu.state_in(&folder)).await?;
    infra.ask(tofu.push(&state)).await?;
    fs_err::remove_dir_all(&folder).context("remove what is in its place now")?;
    let text = format!("the state is {} again; next: cargo xtask tofu plan {}", infra.state_place(), infra.name);
    infra.report.result(json!({ "recovered": true }), &text);
    Ok(())
}

/// Takes the state's lock away from whoever holds it under this id.
pub async fn unlock(infra: &Infra<'_>, id: &str) -> Result<(), Failure> {
    let _lock = infra.enter("unlock")?;
    ready::prepare(infra, false).await?;
    let tofu = infra.tofu()?;
    infra.ask(tofu.unlock(id)).await?;
    let text = format!("the state of {} is free; next: cargo xtask tofu plan {}", infra.name, infra.name);
    infra.report.result(json!({ "unlocked": id }), &text);
    Ok(())
}
