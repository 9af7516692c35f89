//! The problems of a file that people write.

use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};

/// Problems to list. The rest is only counted: the first ones usually explain it.
pub(super) const LISTED: usize = 20;

/// A position in a text file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, relative to the project's root.
    pub file: Utf8PathBuf,
    /// The position; none for a problem of the whole file.
    pub at: Option<Position>,
    /// The dotted path of the key, such as `environments.local.port`; empty without a key.
    pub key: String,
    /// What was found and what was expected.
    pub message: String,
    /// How to fix it.
    pub hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, at, key, message, hint } = self;
        write!(f, "{file}:")?;
        if let Some(Position { line, column }) = at {
            write!(f, "{line}:{column}:")?;
        }
        if !key.is_empty() {
            write!(f, " {key}:")?;
        }
        write!(f, " {message}\n  {hint}")
    }
}

/// All problems of deploy.yaml, of settings.json or of both, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
    pub(super) unlisted: usize,
    /// The smallest files that would do, where a file or a part of it is missing.
    examples: Vec<(Utf8PathBuf, &'static str)>,
}

impl ConfigError {
    /// The first twenty problems, in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// `problems` must not be empty.
    pub(super) fn new(problems: Vec<Problem>, unlisted: usize) -> Self {
        Self { problems, unlisted, examples: Vec::new() }
    }

    /// Shows the smallest `file` that would do, if a part of it or all of it is missing.
    pub(super) fn with_example(mut self, file: &Utf8Path, example: &'static str) -> Self {
        let is_missing = |problem: &Problem| {
            let text = &problem.message;
            problem.file == file && ["missing", "not found", "the file "].iter().any(|start| text.starts_with(start))
        };
        if self.problems.iter().any(is_missing) {
            self.examples.push((file.to_owned(), example));
        }
        self
    }

    /// The problems of two files.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.problems.extend(other.problems);
        self.unlisted += other.unlisted;
        self.examples.extend(other.examples);
        self
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self::new(vec![problem], 0)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if index == 0 { "" } else { "\n" })?;
        }
        match self.unlisted {
            0 => {}
            1 => write!(f, "\nand 1 more problem")?,
            more => write!(f, "\nand {more} more problems")?,
        }
        for (file, example) in &self.examples {
            write!(f, "\nthe smallest {file} is, for example:\n  {}", example.replace('\n', "\n  "))?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// The hint for an unknown word. `what` names the known words: keys, values, environments.
pub(crate) fn did_you_mean<'a>(word: &str, what: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    let list = known.join(", ");
    match nearest(word, known) {
        Some(near) => format!("did you mean `{near}`? Known {what}: {list}"),
        None if list.is_empty() => format!("there are no {what} here"),
        None => format!("known {what}: {list}"),
    }
}

/// The known word that was probably meant: one with a similar spelling, or one that `word` abbreviates.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .into_iter()
        .filter_map(|candidate| {
            let plain = candidate.to_lowercase();
            let typos = 1.max(plain.len() / 3);
            if word.len() >= 3 && plain.starts_with(&word) {
                return Some((1, candidate));
            }
            if plain.len().abs_diff(word.len()) > 2 * typos {
                return None;
            }
            Some((strsim::osa_distance(&word, &plain), candidate)).filter(|(distance, _)| *distance <= typos)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `text` in backticks, as [`shown`].
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", shown(text))
}

/// `text` on one line, cut to the length of a message.
pub(super) fn shown(text: &str) -> String {
    const MAX_LENGTH: usize = 40;
    let cut = if text.chars().nth(MAX_LENGTH).is_some() { "…" } else { "" };
    let escape = |c: char| if matches!(c, '"' | '\'' | '\\') { c.to_string() } else { c.escape_debug().to_string() };
    text.chars().take(MAX_LENGTH).map(escape).collect::<String>() + cut
}
