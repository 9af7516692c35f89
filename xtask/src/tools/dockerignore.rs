//! `.dockerignore`: which files are not part of the build context. Docker applies it in its client, so the toolkit does, too.

use anyhow::{Context as _, Result};
use glob::{MatchOptions, Pattern};

/// The rules of a `.dockerignore` (Docker's reference, "`.dockerignore` file"). The last rule that matches decides.
#[derive(Debug, Default)]
pub struct Dockerignore {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    pattern: Pattern,
    /// A rule that begins with `!` includes files again.
    includes: bool,
}

/// `*` and `?` do not match `/`.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

impl Dockerignore {
    /// Parses the rules. Fails with the first invalid line.
    pub fn parse(text: &str) -> Result<Self> {
        let mut rules = Vec::new();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (includes, pattern) = line.strip_prefix('!').map_or((false, line), |pattern| (true, pattern.trim()));
            let pattern = clean(pattern);
            let rule = Pattern::new(&to_glob(&pattern)).with_context(|| format!("line {}: {line}", index + 1))?;
            rules.push(Rule { pattern: rule, includes });
        }
        Ok(Self { rules })
    }

    /// Whether a file is excluded. `path` is relative to the context.
    pub fn excludes(&self, path: &str) -> bool {
        let matches = |rule: &&Rule| ancestors(path).any(|path| rule.pattern.matches_with(path, OPTIONS));
        self.rules.iter().rev().find(matches).is_some_and(|rule| !rule.includes)
    }
}

/// A path and its parent folders: a rule that matches a folder applies to all files below it.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| path.rsplit_once('/').map(|(folder, _)| folder))
}

/// Go's `path.Clean`, relative to the context: `/a/./b/` is `a/b`, and `..` does not leave the context.
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

/// Translates Go's pattern syntax to that of the `glob` crate: `[^a]` to `[!a]`, and `\*` to `[*]`.
fn to_glob(pattern: &str) -> String {
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

    fn excluded(rules: &str, paths: &[&str]) -> Vec<String> {
        let ignore = Dockerignore::parse(rules).unwrap();
        paths.iter().filter(|path| ignore.excludes(path)).map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn rules_are_read_as_docker_reads_them() {
        let paths = ["README.md", "a/README.md", "a/b/c.log", "d.log", "target/x/y", "target.txt"];
        assert_eq!(excluded("", &paths), Vec::<String>::new());
        assert_eq!(excluded("README.md\n", &paths), ["README.md"]);
        assert_eq!(excluded("**/README.md", &paths), ["README.md", "a/README.md"]);
        assert_eq!(excluded("*.log", &paths), ["d.log"]);
        assert_eq!(excluded("**/*.log", &paths), ["a/b/c.log", "d.log"]);
        assert_eq!(excluded("/target/", &paths), ["target/x/y"]);
        assert_eq!(excluded("a/*/c.log\n./d.log", &paths), ["a/b/c.log", "d.log"]);
        assert_eq!(excluded("# *\n\n  *\n!a\n", &paths), ["README.md", "d.log", "target/x/y", "target.txt"]);
        assert_eq!(excluded("*\n!a\n**/*.md", &paths).len(), 5);
        assert_eq!(excluded("?.log\n[^x]/b", &paths), ["a/b/c.log", "d.log"]);
        assert_eq!(excluded("\\*.log", &["*.log", "x.log"]), ["*.log"]);
        assert_eq!(excluded("../d.log", &paths), ["d.log"]);
    }

    #[test]
    fn an_invalid_rule_is_an_error_with_its_line() {
        let error = format!("{:#}", Dockerignore::parse("ok\n[a").unwrap_err());
        assert!(error.starts_with("line 2: [a: "), "{error}");
    }
}
