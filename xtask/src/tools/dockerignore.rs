//! `.dockerignore`: which files of a context a builder is not given. The engine leaves that to its clients.

use anyhow::{Context as _, Result};
use glob::{MatchOptions, Pattern};

/// The rules of a `.dockerignore` (Docker's reference, "`.dockerignore` file"): the last one that fits decides.
#[derive(Debug, Default)]
pub struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    pattern: Pattern,
    keeps: bool,
}

/// `*` and `?` stay inside one part of a path.
const WITHIN_A_PART: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

impl Ignore {
    /// Reads the rules. Fails with the line that is none.
    pub fn parse(text: &str) -> Result<Self> {
        let mut rules = Vec::new();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (keeps, pattern) = line.strip_prefix('!').map_or((false, line), |pattern| (true, pattern.trim()));
            let pattern = clean(pattern);
            let rule = Pattern::new(&as_glob(&pattern)).with_context(|| format!("line {}: {line}", index + 1))?;
            rules.push(Rule { pattern: rule, keeps });
        }
        Ok(Self { rules })
    }

    /// Whether a file is left out; `path` is relative to the context, with `/` between its parts.
    pub fn ignores(&self, path: &str) -> bool {
        let fits = |rule: &&Rule| parents(path).any(|path| rule.pattern.matches_with(path, WITHIN_A_PART));
        self.rules.iter().rev().find(fits).is_some_and(|rule| !rule.keeps)
    }
}

/// A path and the folders above it: a rule for a folder holds for all that is below.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| path.rsplit_once('/').map(|(folder, _)| folder))
}

/// Without the parts that say nothing: `/a/./b/` is `a/b`. `..` goes no higher than the context.
fn clean(pattern: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Go's pattern in the words of the `glob` crate: `[^a]` is `[!a]` there, and `\*` is `[*]`.
fn as_glob(pattern: &str) -> String {
    let mut glob = String::with_capacity(pattern.len());
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped) => glob.push_str(&Pattern::escape(&escaped.to_string())),
                None => glob.push('\\'),
            },
            '[' if characters.peek() == Some(&'^') => {
                characters.next();
                glob.push_str("[!");
            }
            character => glob.push(character),
        }
    }
    glob
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(rules: &str, paths: &[&str]) -> Vec<String> {
        let ignore = Ignore::parse(rules).unwrap();
        paths.iter().filter(|path| ignore.ignores(path)).map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn rules_are_read_as_docker_reads_them() {
        let paths = ["README.md", "a/README.md", "a/b/c.log", "d.log", "target/x/y", "target.txt"];
        assert_eq!(left_out("", &paths), Vec::<String>::new());
        assert_eq!(left_out("README.md\n", &paths), ["README.md"]);
        assert_eq!(left_out("**/README.md", &paths), ["README.md", "a/README.md"]);
        assert_eq!(left_out("*.log", &paths), ["d.log"]);
        assert_eq!(left_out("**/*.log", &paths), ["a/b/c.log", "d.log"]);
        assert_eq!(left_out("/target/", &paths), ["target/x/y"]);
        assert_eq!(left_out("a/*/c.log\n./d.log", &paths), ["a/b/c.log", "d.log"]);
        assert_eq!(left_out("# *\n\n  *\n!a\n", &paths), ["README.md", "d.log", "target/x/y", "target.txt"]);
        assert_eq!(left_out("*\n!a\n**/*.md", &paths).len(), 5);
        assert_eq!(left_out("?.log\n[^x]/b", &paths), ["a/b/c.log", "d.log"]);
        assert_eq!(left_out("\\*.log", &["*.log", "x.log"]), ["*.log"]);
        assert_eq!(left_out("../d.log", &paths), ["d.log"]);
    }

    #[test]
    fn a_rule_that_is_none_is_named_with_its_line() {
        let error = format!("{:#}", Ignore::parse("ok\n[a").unwrap_err());
        assert!(error.starts_with("line 2: [a: "), "{error}");
    }
}
