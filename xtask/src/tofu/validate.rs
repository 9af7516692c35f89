//! `tofu validate`: errors and warnings in the stack's files. Needs neither state nor secrets.

use super::{Workspace, init};
use crate::failure::Failure;
use crate::signals::Stop;
use crate::tools::tofu::diagnostic::{Diagnostic, Severity};

/// What OpenTofu found in the stack's files, in the order of the files.
#[derive(Clone, Debug, Default)]
pub struct Validation {
    /// Errors.
    pub errors: Vec<Diagnostic>,
    /// Warnings.
    pub warnings: Vec<Diagnostic>,
}

/// Validates the stack's files.
pub async fn validate(workspace: &Workspace<'_>, stop: &Stop) -> Result<Validation, Failure> {
    let tofu = init::init_without_backend(workspace, stop).await?;
    let mut found = workspace.query(stop, tofu.validate()).await?;
    found.sort_by_key(Diagnostic::place);
    let (errors, warnings) = found.into_iter().partition(|diagnostic| diagnostic.severity == Severity::Error);
    Ok(Validation { errors, warnings })
}
