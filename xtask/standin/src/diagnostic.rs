//! What is said to people about a configuration or a call, at the place that it is about.

use crate::path::Path;
use crate::protocol::Diagnostic;
use crate::protocol::diagnostic::Severity;

/// An error of one place in a configuration.
pub fn error_at(path: &Path, summary: &str, detail: impl Into<String>) -> Diagnostic {
    said(Severity::Error, summary, detail.into(), Some(path))
}

/// Something that works and should not be used.
pub fn warning_at(path: &Path, summary: &str, detail: impl Into<String>) -> Diagnostic {
    said(Severity::Warning, summary, detail.into(), Some(path))
}

/// An error of a whole resource.
pub fn error(summary: &str, detail: impl Into<String>) -> Diagnostic {
    said(Severity::Error, summary, detail.into(), None)
}

/// Something of a whole resource that should be known.
pub fn warning(summary: &str, detail: impl Into<String>) -> Diagnostic {
    said(Severity::Warning, summary, detail.into(), None)
}

/// An error of the stand-in itself, with its causes.
pub fn failed(what: &str, error: &anyhow::Error) -> Diagnostic {
    self::error(what, format!("{error:#}"))
}

fn said(severity: Severity, summary: &str, detail: String, path: Option<&Path>) -> Diagnostic {
    Diagnostic { severity: severity.into(), summary: summary.to_owned(), detail, attribute: path.map(Path::wire) }
}
