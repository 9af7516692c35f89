//! A check of something that must be so before anything changes: what preflight collects and doctor shows.

use crate::failure::Failure;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It will do.
    Doubtful,
    /// It must be mended first: this is how.
    Bad {
        /// What to do, or the command to type.
        mend: String,
    },
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at: one or two words.
    pub name: &'static str,
    /// What was found.
    pub found: String,
    /// What to think of it.
    pub verdict: Verdict,
}

impl Check {
    /// As it should be.
    pub fn good(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, found: found.into(), verdict: Verdict::Good }
    }

    /// It will do.
    pub fn doubtful(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, found: found.into(), verdict: Verdict::Doubtful }
    }

    /// It must be mended first.
    pub fn bad(name: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { name, found: found.into(), verdict: Verdict::Bad { mend: mend.into() } }
    }

    /// Good, or bad with the error's whole text.
    pub fn of<T>(name: &'static str, result: anyhow::Result<T>, found: impl FnOnce(T) -> String, mend: &str) -> Self {
        match result {
            Ok(value) => Self::good(name, found(value)),
            Err(error) => Self::bad(name, format!("{error:#}"), mend),
        }
    }

    /// Bad, with the last line of the failure as its fix.
    pub fn failed(name: &'static str, failure: Failure) -> Self {
        let text = format!("{:#}", failure.into_error());
        let (found, fix) = text.rsplit_once("\n  ").unwrap_or((&text, "see the error"));
        Self::bad(name, found, fix)
    }

    /// Whether nothing may go on.
    pub fn is_bad(&self) -> bool {
        matches!(self.verdict, Verdict::Bad { .. })
    }
}
