//! What is wrong with a file that people write, said so that they can mend it.

use std::fmt;

use camino::Utf8PathBuf;

/// Problems beyond this many are counted, not listed: the first ones usually explain the rest.
pub(super) const LISTED: usize = 20;

/// A place in a text file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, as seen from the project's root.
    pub file: Utf8PathBuf,
    /// Where in it; `None` where the file as a whole is meant.
    pub at: Option<Position>,
    /// The dotted path of the key, such as `environments.local.port`; empty where no key is meant.
    pub key: String,
    /// What was found and what was expected.
    pub message: String,
    /// What to do about it.
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

/// Everything that is wrong with a file: one problem at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
    pub(super) unlisted: usize,
}

impl ConfigError {
    /// The problems in the order of the file: the first twenty.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// `problems` must not be empty.
    pub(super) fn new(problems: Vec<Problem>, unlisted: usize) -> Self {
        Self { problems, unlisted }
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
            0 => Ok(()),
            1 => write!(f, "\nand 1 more problem"),
            more => write!(f, "\nand {more} more problems"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// The hint for a word that is none of the `known` ones (`what`: keys, values, environments).
pub(super) fn did_you_mean<'a>(word: &str, what: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    let list = known.join(", ");
    match nearest(word, known) {
        Some(near) => format!("did you mean `{near}`? Known {what}: {list}"),
        None if list.is_empty() => format!("there are no {what} here"),
        None => format!("known {what}: {list}"),
    }
}

/// The known word that was probably meant: within a few slips of the pen, or what `word` abbreviates.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .into_iter()
        .filter_map(|candidate| {
            let plain = candidate.to_lowercase();
            let slips = 1.max(plain.len() / 3);
            if word.len() >= 3 && plain.starts_with(&word) {
                return Some((1, candidate));
            }
            if plain.len().abs_diff(word.len()) > 2 * slips {
                return None;
            }
            Some((strsim::osa_distance(&word, &plain), candidate)).filter(|(distance, _)| *distance <= slips)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `text` between backticks, as [`shown`].
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", shown(text))
}

/// `text` on one line and cut to a length that a message bears.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 40;
    let cut = if text.chars().nth(LONGEST).is_some() { "…" } else { "" };
    let escape = |c: char| if matches!(c, '"' | '\'' | '\\') { c.to_string() } else { c.escape_debug().to_string() };
    text.chars().take(LONGEST).map(escape).collect::<String>() + cut
}
