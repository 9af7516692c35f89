//! OpenTofu's diagnostics: errors and warnings with file, line and detail, and the causes that decide an exit code.

use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use crate::failure::Located;

/// One error or warning.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// One line.
    #[serde(deserialize_with = "shortened")]
    pub summary: String,
    /// The explanation, if there is one.
    #[serde(default, deserialize_with = "shortened")]
    pub detail: String,
    /// The resource that it concerns.
    pub address: Option<String>,
    /// Where in the stack's files.
    pub range: Option<Range>,
}

/// The most bytes of a text that are kept. A provider writes it, and may repeat in it what a server has answered.
const MAX_TEXT: usize = 16 << 10;

/// Error or warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// OpenTofu stops.
    Error,
    /// OpenTofu continues.
    #[serde(other)]
    Warning,
}

/// A range in a file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Range {
    /// Relative to the stack's folder.
    pub filename: Utf8PathBuf,
    /// Where it begins.
    pub start: Position,
}

/// A line and a column, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in it.
    pub column: usize,
}

/// The lock of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// What `force-unlock` needs.
    pub id: String,
    /// `user@machine`.
    pub who: String,
    /// OpenTofu's name of the operation that holds it: `OperationTypeApply`.
    pub operation: String,
    /// The time, as OpenTofu prints it.
    pub created: String,
}

/// The causes of errors that are handled in different ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Another process holds the state's lock.
    Locked(Lock),
    /// The state has changed since the plan was made.
    Stale,
    /// State or plan were encrypted with another passphrase.
    Passphrase,
    /// The plan would destroy these resources, which have `prevent_destroy`.
    PreventedDestroys(Vec<String>),
    /// Any other.
    Other,
}

/// All errors of a run.
#[derive(Debug)]
pub struct Diagnostics {
    errors: Vec<Diagnostic>,
    /// The stack's folder, relative to the project's root.
    stack: Utf8PathBuf,
}

impl Diagnostics {
    /// Sorts them by file and line: OpenTofu reports them in the order in which its threads find them.
    pub fn new(mut errors: Vec<Diagnostic>, stack: &Utf8Path) -> Self {
        errors.sort_by_key(Diagnostic::place);
        Self { errors, stack: stack.to_owned() }
    }

    /// The error, located at the first diagnostic that has a file and line.
    pub fn into_error(self) -> anyhow::Error {
        let first = self.errors.iter().find_map(|error| error.range.as_ref());
        match first.map(|range| (self.stack.join(&range.filename), range.start.line, range.start.column)) {
            Some((file, line, column)) => Located::new(file, line, column, self).into(),
            None => self.into(),
        }
    }

    /// What caused them.
    pub fn cause(&self) -> Cause {
        cause(self.errors.iter().flat_map(|error| [error.summary.as_str(), error.detail.as_str()]))
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { "\n" }, error.text(&self.stack))?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl Diagnostic {
    /// File, line and column, for sorting.
    pub fn place(&self) -> Option<(Utf8PathBuf, usize, usize)> {
        let range = self.range.as_ref()?;
        Some((range.filename.clone(), range.start.line, range.start.column))
    }

    /// File and line, summary and detail, for people.
    pub fn text(&self, stack: &Utf8Path) -> String {
        let mut text = String::new();
        if let Some(Range { filename, start }) = &self.range {
            text.push_str(&format!("{}:{}:{}: ", stack.join(filename), start.line, start.column));
        }
        if let Some(address) = &self.address {
            text.push_str(&format!("{address}: "));
        }
        text.push_str(&self.summary);
        for line in self.detail.lines().filter(|line| !line.trim().is_empty()) {
            text.push_str(&format!("\n  {line}"));
        }
        text
    }
}

/// The cause of errors with these texts. The phrases are OpenTofu's (`internal/command/clistate`, `internal/backend/local`,
/// `internal/encryption`); Terraform uses the same ones.
pub fn cause<'a>(texts: impl Iterator<Item = &'a str>) -> Cause {
    let all = texts.collect::<Vec<_>>().join("\n");
    if all.contains("Error acquiring the state lock")
        && let Some(lock) = lock(&all)
    {
        return Cause::Locked(lock);
    }
    if all.contains("Saved plan is stale") || all.contains("Saved plan does not match the given state") {
        return Cause::Stale;
    }
    if all.contains("decryption failed") {
        return Cause::Passphrase;
    }
    let prevented: Vec<String> = all.lines().filter_map(prevented_destroy).map(str::to_owned).collect();
    if prevented.is_empty() { Cause::Other } else { Cause::PreventedDestroys(prevented) }
}

/// The resource with `prevent_destroy` that a line names (`internal/tofu/node_resource_abstract_instance.go`), by the phrases
/// of OpenTofu 1.12, and of older versions and Terraform.
fn prevented_destroy(line: &str) -> Option<&str> {
    let (about, _) = line.split_once(" set, but the plan calls for ")?;
    let address = about.strip_suffix(" has prevent_destroy").or(about.strip_suffix(" has lifecycle.prevent_destroy"))?;
    address.strip_prefix("Resource instance ").or(address.strip_prefix("Resource "))
}

fn shortened<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let mut text = String::deserialize(deserializer)?;
    let length = text.len();
    if length > MAX_TEXT {
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        text.push_str(&format!("… ({length} bytes)"));
    }
    Ok(text)
}

fn lock(text: &str) -> Option<Lock> {
    let about = text.split_once("Lock Info:")?.1;
    let field = |name: &str| {
        let line = about.lines().find_map(|line| line.trim().strip_prefix(name))?;
        Some(line.trim().to_owned())
    };
    Some(Lock { id: field("ID:")?, who: field("Who:")?, operation: field("Operation:")?, created: field("Created:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_a_provider_is_shortened() {
        let detail = "ä".repeat(1_000_000);
        let line = serde_json::json!({"severity": "error", "summary": "s", "detail": detail}).to_string();
        let read: Diagnostic = serde_json::from_str(&line).unwrap();
        assert!(read.detail.len() < 20_000 && read.detail.ends_with("… (2000000 bytes)"), "{}", read.detail.len());
        assert_eq!(read.summary, "s");
    }

    #[test]
    fn resources_with_prevent_destroy_are_named() {
        let new = "Resource instance b.media[\"a\"] has prevent_destroy set, but the plan calls for it to be destroyed.\n\nTo proceed, …";
        let old = "Resource b.other has lifecycle.prevent_destroy set, but the plan calls for this resource to be destroyed. To avoid …";
        let prevented = Cause::PreventedDestroys(vec!["b.media[\"a\"]".to_owned(), "b.other".to_owned()]);
        assert_eq!(cause(["Resource instance cannot be destroyed", new, old].into_iter()), prevented);
        assert_eq!(cause(["Resource instance b.c has prevent_destroy set to null."].into_iter()), Cause::Other);
    }
}
