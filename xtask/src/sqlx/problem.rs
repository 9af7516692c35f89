//! Problems of queries and migrations, each with its location.

use crate::failure::Located;
use crate::report::Notice;

/// File, relative to the project's root, line and column, both from 1.
pub type At = (String, usize, usize);

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its location, if it has one.
    pub at: Option<At>,
    /// What is wrong.
    pub text: String,
}

/// All problems, and the next step.
#[derive(Debug)]
pub struct Problems {
    /// At least one.
    pub all: Vec<Problem>,
    /// The command to type, or what to do.
    pub next: &'static str,
    /// What else the checks found, to be shown before the error.
    pub notices: Vec<Notice>,
}

impl Problem {
    /// A problem with a location.
    pub fn at(file: &str, line: usize, column: usize, text: impl Into<String>) -> Self {
        Self { at: Some((file.to_owned(), line, column)), text: text.into() }
    }

    /// A problem without a location.
    pub fn new(text: impl Into<String>) -> Self {
        Self { at: None, text: text.into() }
    }
}

impl Problems {
    /// The problems that caused an error, if problems did.
    pub fn of(error: &anyhow::Error) -> Option<&Self> {
        let located = error.downcast_ref::<Located>().and_then(Located::error::<Self>);
        located.or_else(|| error.downcast_ref())
    }

    /// The error, located at the first problem that has a location.
    pub fn into_error(self) -> anyhow::Error {
        match self.all.iter().find_map(|problem| problem.at.clone()) {
            Some((file, line, column)) => Located::new(file, line, column, self).into(),
            None => self.into(),
        }
    }
}

/// `file:line:column: text`.
impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some((file, line, column)) = &self.at {
            write!(f, "{file}:{line}:{column}: ")?;
        }
        f.write_str(&self.text)
    }
}

impl std::fmt::Display for Problems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = if self.all.len() == 1 { "1 problem".to_owned() } else { format!("{} problems", self.all.len()) };
        write!(f, "{count} with queries or migrations:")?;
        for problem in &self.all {
            write!(f, "\n  {}", problem.to_string().replace('\n', "\n    "))?;
        }
        write!(f, "\n  → {}", self.next)
    }
}

impl std::error::Error for Problems {}
