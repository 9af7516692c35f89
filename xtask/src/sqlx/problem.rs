//! What is wrong with queries or migrations, each with its place.

use serde_json::{Value, json};

use crate::failure::Located;

/// File, relative to the project's root, line and column, both from 1.
pub type At = (String, usize, usize);

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, if it is anywhere.
    pub at: Option<At>,
    /// What, in a few words.
    pub text: String,
}

/// All that is wrong, and what to type next.
#[derive(Debug)]
pub struct Problems {
    /// One at least.
    pub all: Vec<Problem>,
    /// What to do.
    pub next: String,
}

impl Problem {
    /// One in a file.
    pub fn at(file: &str, line: usize, column: usize, text: impl Into<String>) -> Self {
        Self { at: Some((file.to_owned(), line, column)), text: text.into() }
    }

    /// One without a place.
    pub fn new(text: impl Into<String>) -> Self {
        Self { at: None, text: text.into() }
    }
}

impl Problems {
    /// For programs.
    pub fn json(&self) -> Value {
        let rows = self.all.iter().map(|problem| {
            let (file, line, column) = problem
                .at
                .clone()
                .map_or((None, None, None), |(file, line, column)| (Some(file), Some(line), Some(column)));
            json!({ "file": file, "line": line, "column": column, "text": problem.text })
        });
        rows.collect()
    }

    /// The error, located at the first problem that has a place.
    pub fn into_error(self) -> anyhow::Error {
        match self.all.iter().find_map(|problem| problem.at.clone()) {
            Some((file, line, column)) => Located::new(file, line, column, self).into(),
            None => self.into(),
        }
    }
}

/// `file:line:column: what`.
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
