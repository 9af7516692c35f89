//! What is typed after something went wrong: a state that could not be saved, a lock that nobody holds any more.

use anyhow::{Context as _, anyhow};
use serde_json::json;

use super::{Infra, ready};
use crate::story::Failure;

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
