//! A key by what a person types: its path, the end of it, or a path of their own file.

use super::super::field::NAME;
use super::super::problem::nearest;
use super::{Entry, Reference, Shape};

impl Reference {
    /// The keys that a person means: several where targets have different ones, or where only the end of a path is given.
    pub fn find(&self, topic: &str) -> Vec<&'static Entry> {
        let words = words(topic);
        let of_path = |entry: &'static Entry| Some((literal(&words_of(entry), &words)?, entry));
        let found: Vec<(usize, &Entry)> = self.keys().filter_map(of_path).collect();
        let best = found.iter().map(|(words, _)| *words).max();
        let found: Vec<&Entry> =
            found.into_iter().filter(|(words, _)| Some(*words) == best).map(|(_, entry)| entry).collect();
        if !found.is_empty() {
            return found;
        }
        let by_end: Vec<&Entry> = self.keys().filter(|entry| words_of(entry).ends_with(&words)).collect();
        match words.as_slice() {
            // A name that the user chose.
            [of @ .., _] if by_end.is_empty() && !of.is_empty() => {
                let mut of = self.find(&of.join("."));
                of.retain(|entry| entry.shapes.contains(&Shape::Map));
                of
            }
            _ => by_end,
        }
    }

    /// The path of a key that is written like this.
    pub fn nearest(&self, topic: &str) -> Option<&'static str> {
        let paths = || self.keys().map(|entry| entry.path.as_str());
        let plain = words(topic).join(".");
        nearest(&plain, paths()).or_else(|| {
            let last = words(topic).last().copied().and_then(|last| nearest(last, self.keys().map(Entry::name)))?;
            self.keys().find(|entry| entry.name() == last).map(|entry| entry.path.as_str())
        })
    }
}

/// How many words of a path are as they were typed; none where it is another path. A name that the user chooses may be any word, or be
/// left out.
fn literal(path: &[&str], typed: &[&str]) -> Option<usize> {
    match (path, typed) {
        ([], []) => Some(0),
        ([NAME, rest @ ..], _) => {
            let any = typed.split_first().and_then(|(_, typed)| literal(rest, typed));
            any.max(if rest.is_empty() { None } else { literal(rest, typed) })
        }
        ([word, rest @ ..], [first, typed @ ..]) if word == first => literal(rest, typed).map(|words| words + 1),
        _ => None,
    }
}

fn words_of(entry: &Entry) -> Vec<&str> {
    words(&entry.path)
}

/// The words of a path, without the marks of lists.
fn words(path: &str) -> Vec<&str> {
    path.trim().split('.').map(|word| word.split('[').next().unwrap_or(word)).filter(|word| !word.is_empty()).collect()
}
