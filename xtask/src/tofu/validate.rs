//! `tofu validate`: whether the stack's files are sound. Takes neither a state nor any secret.

use serde_json::json;

use super::{Infra, ready};
use crate::failure::Failure;
use crate::tools::tofu::diagnostic::{Diagnostic, Diagnostics, Severity};

/// Looks at the stack's files. Fails with everything that is wrong with them.
pub async fn validate(infra: &Infra<'_>) -> Result<(), Failure> {
    let _lock = infra.enter("validate")?;
    let tofu = ready::prepare_without_state(infra).await?;
    let mut said = infra.ask(tofu.validate()).await?;
    said.sort_by_key(Diagnostic::place);
    let (errors, warnings): (Vec<Diagnostic>, Vec<Diagnostic>) =
        said.into_iter().partition(|diagnostic| diagnostic.severity == Severity::Error);
    for warning in &warnings {
        infra.report.warn(&warning.text(&infra.stack.folder));
    }
    if !errors.is_empty() {
        let found = Diagnostics::new(errors, &infra.stack.folder);
        return Err(found.into_error().context(format!("{} is not sound", infra.stack.folder)).into());
    }
    let detail = json!({ "stack": infra.stack.folder, "valid": true, "warnings": warnings.len() });
    infra.report.result(detail, &format!("{} is sound", infra.stack.folder));
    Ok(())
}
