//! The protocol's diagnostics: errors and warnings of a resource or of one of its attributes.

use crate::path::Path;
use crate::protocol::Diagnostic;
use crate::protocol::diagnostic::Severity;

pub fn error_at(path: &Path, summary: &str, detail: impl Into<String>) -> Diagnostic {
    new(Severity::Error, summary, detail.into(), Some(path))
}

pub fn warning_at(path: &Path, summary: &str, detail: impl Into<String>) -> Diagnostic {
    new(Severity::Warning, summary, detail.into(), Some(path))
}

pub fn error(summary: &str, detail: impl Into<String>) -> Diagnostic {
    new(Severity::Error, summary, detail.into(), None)
}

pub fn warning(summary: &str, detail: impl Into<String>) -> Diagnostic {
    new(Severity::Warning, summary, detail.into(), None)
}

/// An error with its chain of causes as the detail.
pub fn from_error(summary: &str, error: &anyhow::Error) -> Diagnostic {
    self::error(summary, format!("{error:#}"))
}

fn new(severity: Severity, summary: &str, detail: String, path: Option<&Path>) -> Diagnostic {
    let attribute = path.map(Path::to_protocol);
    Diagnostic { severity: severity.into(), summary: summary.to_owned(), detail, attribute }
}
