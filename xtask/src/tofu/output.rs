//! `tofu output`: the outputs of the last apply.

use std::collections::BTreeMap;

use super::Workspace;
use crate::failure::Failure;
use crate::signals::Stop;
use crate::tools::tofu::Output;

/// All outputs by name, sensitive ones with their values. The working folder is initialized.
pub async fn outputs(workspace: &Workspace<'_>, stop: &Stop) -> Result<BTreeMap<String, Output>, Failure> {
    let tofu = workspace.tofu()?;
    workspace.query(stop, tofu.outputs()).await
}
