//! How the end of a log is told.

/// The last lines of a release's log, for an error.
pub fn log_tail(lines: &[String]) -> String {
    match lines {
        [] => "it wrote nothing to its log".to_owned(),
        lines => format!("the end of its log:\n  {}", lines.join("\n  ")),
    }
}
