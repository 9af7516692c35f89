//! Checks that preflight and doctor make. None of them changes anything.

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::report::Paint;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// A deploy works, but something is missing or could not be checked.
    Doubtful,
    /// A deploy would fail.
    Bad {
        /// The command to type, or what to do.
        fix: String,
    },
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// One or two words.
    pub name: &'static str,
    /// What was found.
    pub found: String,
    /// The result.
    pub verdict: Verdict,
}

impl Check {
    /// A check that passed.
    pub fn good(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, found: found.into(), verdict: Verdict::Good }
    }

    /// A check that only warns.
    pub fn doubtful(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, found: found.into(), verdict: Verdict::Doubtful }
    }

    /// A check that failed, and its fix.
    pub fn bad(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, found: found.into(), verdict: Verdict::Bad { fix: fix.into() } }
    }

    /// Good, or bad with the whole text of the error.
    pub fn of<T>(name: &'static str, result: anyhow::Result<T>, found: impl FnOnce(T) -> String, fix: &str) -> Self {
        match result {
            Ok(value) => Self::good(name, found(value)),
            Err(error) => Self::bad(name, format!("{error:#}"), fix),
        }
    }

    /// Bad, with the last line of the failure as its fix.
    pub fn failed(name: &'static str, failure: Failure) -> Self {
        let text = format!("{:#}", failure.into_error());
        let (found, fix) = text.rsplit_once("\n  ").unwrap_or((&text, "see the error"));
        Self::bad(name, found, fix)
    }

    /// For people: a line, and another one with the fix.
    pub fn text(&self, paint: Paint) -> String {
        let (mark, fix) = match &self.verdict {
            Verdict::Good => (paint.green("✓"), None),
            Verdict::Doubtful => (paint.yellow("!"), None),
            Verdict::Bad { fix } => (paint.red("✗"), Some(fix)),
        };
        let line = format!("  {mark} {:<11} {}", self.name, self.found.replace('\n', "\n                "));
        match fix {
            Some(fix) => format!("{line}\n    {:<11} → {fix}", ""),
            None => line,
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let (verdict, fix) = match &self.verdict {
            Verdict::Good => ("good", None),
            Verdict::Doubtful => ("doubtful", None),
            Verdict::Bad { fix } => ("bad", Some(fix)),
        };
        json!({ "name": self.name, "found": self.found, "verdict": verdict, "fix": fix })
    }

    /// Whether a deploy would fail.
    pub fn is_bad(&self) -> bool {
        matches!(self.verdict, Verdict::Bad { .. })
    }
}
