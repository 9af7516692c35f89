//! What OpenTofu says of what is wrong: with file, line and detail, or of a kind that somebody decides on.

use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use crate::failure::Located;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What, in a line.
    pub summary: String,
    /// More of it.
    #[serde(default)]
    pub detail: String,
    /// The resource that it is about.
    pub address: Option<String>,
    /// Where in the stack's files.
    pub range: Option<Range>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It ends here.
    Error,
    /// It goes on.
    #[serde(other)]
    Warning,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Range {
    /// The file, as seen from the stack's folder.
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

/// Who holds a state's lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// What takes it away.
    pub id: String,
    /// `user@machine`.
    pub who: String,
    /// What the holder does, in OpenTofu's words: `OperationTypeApply`.
    pub operation: String,
    /// Since when, in OpenTofu's words.
    pub created: String,
}

/// What is wrong, as far as somebody decides on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Somebody else works on the state.
    Locked(Lock),
    /// The state is not the one that the plan was made of.
    Stale,
    /// State or plan were encrypted with another passphrase.
    Passphrase,
    /// These resources would go, and the stack says of each that it must not: by `prevent_destroy`.
    Kept(Vec<String>),
    /// What the errors say.
    Other,
}

/// Everything that was wrong with a run, with the stack's folder as it is seen from the project's root.
#[derive(Debug)]
pub struct Diagnostics {
    errors: Vec<Diagnostic>,
    stack: Utf8PathBuf,
}

impl Diagnostics {
    /// In the order of the files: the program tells them as its threads find them.
    pub fn new(mut errors: Vec<Diagnostic>, stack: &Utf8Path) -> Self {
        errors.sort_by_key(Diagnostic::place);
        Self { errors, stack: stack.to_owned() }
    }

    /// The error, located at the first diagnostic that has a place.
    pub fn into_error(self) -> anyhow::Error {
        let first = self.errors.iter().find_map(|error| error.range.as_ref());
        match first.map(|range| (self.stack.join(&range.filename), range.start.line, range.start.column)) {
            Some((file, line, column)) => Located::new(file, line, column, self).into(),
            None => self.into(),
        }
    }

    /// What kind of trouble it is.
    pub fn trouble(&self) -> Trouble {
        trouble(self.errors.iter().flat_map(|error| [error.summary.as_str(), error.detail.as_str()]))
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
    /// File, line and column, where it has them: what tells the order of two.
    pub fn place(&self) -> Option<(Utf8PathBuf, usize, usize)> {
        let range = self.range.as_ref()?;
        Some((range.filename.clone(), range.start.line, range.start.column))
    }

    /// Place, summary and detail, for people.
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

/// What kind of trouble these texts tell of. The words are OpenTofu's own (`internal/command/clistate`,
/// `internal/backend/local`, `internal/encryption`); Terraform's are the same where it has them.
pub fn trouble<'a>(texts: impl Iterator<Item = &'a str>) -> Trouble {
    let all = texts.collect::<Vec<_>>().join("\n");
    if all.contains("Error acquiring the state lock")
        && let Some(lock) = lock(&all)
    {
        return Trouble::Locked(lock);
    }
    if all.contains("Saved plan is stale") || all.contains("Saved plan does not match the given state") {
        return Trouble::Stale;
    }
    if all.contains("decryption failed") {
        return Trouble::Passphrase;
    }
    let kept: Vec<String> = all.lines().filter_map(kept).map(str::to_owned).collect();
    if kept.is_empty() { Trouble::Other } else { Trouble::Kept(kept) }
}

/// The resource that a line says must not go (`internal/tofu/node_resource_abstract_instance.go`), in the words of
/// OpenTofu 1.12 and in those of its older versions and of Terraform.
fn kept(line: &str) -> Option<&str> {
    let (about, _) = line.split_once(" set, but the plan calls for ")?;
    let address = about.strip_suffix(" has prevent_destroy").or(about.strip_suffix(" has lifecycle.prevent_destroy"))?;
    address.strip_prefix("Resource instance ").or(address.strip_prefix("Resource "))
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
    fn what_the_stack_keeps_is_named() {
        let new = "Resource instance b.media[\"a\"] has prevent_destroy set, but the plan calls for it to be destroyed.\n\nTo proceed, …";
        let old = "Resource b.other has lifecycle.prevent_destroy set, but the plan calls for this resource to be destroyed. To avoid …";
        let kept = Trouble::Kept(vec!["b.media[\"a\"]".to_owned(), "b.other".to_owned()]);
        assert_eq!(trouble(["Resource instance cannot be destroyed", new, old].into_iter()), kept);
        assert_eq!(trouble(["Resource instance b.c has prevent_destroy set to null."].into_iter()), Trouble::Other);
    }
}
