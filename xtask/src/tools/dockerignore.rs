//! `.dockerignore`: which files are not part of the build context. Docker applies it in its client, so the toolkit does, too.
//!
//! The rules are those of Docker's library (github.com/moby/patternmatcher), which makes a regular expression of most patterns.
//! What that expression means beyond the documented syntax (`[a|b]*|c`) is kept, and what it would refuse is refused. So are
//! patterns that Docker refuses or reads in another way depending on the release of Go: `[]a]`, `\` at the end, `\p`.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail, ensure};

mod regex;

use self::regex::Regex;

/// The rules of a `.dockerignore`.
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

#[derive(Debug)]
enum Pattern {
    Exact(Vec<u8>),
    /// `dir/**`
    Prefix(Vec<u8>),
    /// `**/name`, `**.md`
    Suffix(Vec<u8>),
    Regex(Regex),
}

/// Answers for many paths. Remembers which rules matched their folders.
pub struct Walk<'a> {
    rules: &'a [Rule],
    folders: HashMap<Vec<u8>, Vec<bool>>,
}

impl Dockerignore {
    /// Parses the rules. Fails with the first invalid line.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
        let mut rules = Vec::new();
        for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let rule = Rule::parse(line);
            let rule = rule.with_context(|| format!("line {}: {}", index + 1, String::from_utf8_lossy(trim(line))))?;
            rules.extend(rule);
        }
        Ok(Self { rules })
    }

    /// Answers for the files of a tree.
    pub fn walk(&self) -> Walk<'_> {
        Walk { rules: &self.rules, folders: HashMap::new() }
    }
}

impl Walk<'_> {
    /// Whether a file is excluded: the last rule that matches it or a folder above it decides. `path` is relative to the context.
    pub fn excludes(&mut self, path: &[u8]) -> bool {
        let above = self.above(path);
        matches(self.rules, path, &above).0
    }

    /// Which rules matched the folder of a path; none for a path without one.
    fn above(&mut self, path: &[u8]) -> Vec<bool> {
        let Some(end) = path.iter().rposition(|&byte| byte == b'/') else { return Vec::new() };
        let folder = &path[..end];
        if let Some(known) = self.folders.get(folder) {
            return known.clone();
        }
        let above = self.above(folder);
        let (_, matched) = matches(self.rules, folder, &above);
        self.folders.insert(folder.to_vec(), matched.clone());
        matched
    }
}

impl Rule {
    /// A line; none for an empty one and for a comment.
    fn parse(line: &[u8]) -> Result<Option<Self>> {
        let trimmed = trim(line);
        // Docker takes a `#` behind spaces for a pattern.
        if line.starts_with(b"#") || trimmed.is_empty() {
            return Ok(None);
        }
        let (mark, pattern) = match trimmed.strip_prefix(b"!") {
            Some(pattern) => (&b"!"[..], trim(pattern)),
            None => (&b""[..], trimmed),
        };
        let pattern = if pattern.is_empty() { Vec::new() } else { clean(pattern) };
        let pattern = match pattern.strip_prefix(b"/") {
            Some(rest) if !rest.is_empty() => rest,
            _ => &pattern[..],
        };
        // Docker reads the mark a second time, from the cleaned line: `/!a` is a rule that includes.
        let line = clean(trim(&[mark, pattern].concat()));
        let (includes, pattern) = match line.strip_prefix(b"!") {
            Some(pattern) => (true, pattern),
            None => (false, &line[..]),
        };
        ensure!(!pattern.is_empty(), "there is no pattern behind the exclamation mark");
        Ok(Some(Self { pattern: Pattern::parse(pattern)?, includes }))
    }
}

impl Pattern {
    fn parse(pattern: &[u8]) -> Result<Self> {
        check(pattern)?;
        let mut kind = Kind::Exact;
        let mut regex = String::from("^");
        let characters = regex::decode(pattern);
        let mut characters = characters.strip_prefix(&['\u{feff}']).unwrap_or(&characters).iter().copied().peekable();
        let mut is_first = true;
        while let Some(character) = characters.next() {
            match character {
                '*' if characters.next_if_eq(&'*').is_some() => {
                    // `**/` is `**`.
                    characters.next_if_eq(&'/');
                    if characters.peek().is_some() {
                        regex.push_str("(.*/)?");
                        kind = Kind::Regex;
                    } else if kind == Kind::Exact {
                        kind = Kind::Prefix;
                    } else {
                        regex.push_str(".*");
                        kind = Kind::Regex;
                    }
                    if is_first {
                        kind = Kind::Suffix;
                    }
                }
                '*' => {
                    regex.push_str("[^/]*");
                    kind = Kind::Regex;
                }
                '?' => {
                    regex.push_str("[^/]");
                    kind = Kind::Regex;
                }
                // Docker leaves `{`, `|` and `}` as they are.
                '.' | '+' | '(' | ')' | '$' => regex.extend(['\\', character]),
                '\\' => {
                    regex.push('\\');
                    regex.extend(characters.next());
                    kind = Kind::Regex;
                }
                '[' | ']' => {
                    regex.push(character);
                    kind = Kind::Regex;
                }
                character => regex.push(character),
            }
            is_first = false;
        }
        Ok(match kind {
            Kind::Exact => Self::Exact(pattern.to_vec()),
            Kind::Prefix => Self::Prefix(pattern[..pattern.len() - 2].to_vec()),
            Kind::Suffix => Self::Suffix(pattern[2..].to_vec()),
            Kind::Regex => Self::Regex(Regex::parse(&(regex + "$"))?),
        })
    }

    fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(all) => path == all,
            Self::Prefix(begin) => path.starts_with(begin),
            Self::Suffix(end) => path.ends_with(end) || end.strip_prefix(b"/") == Some(path),
            Self::Regex(regex) => regex.matches(path),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Exact,
    Prefix,
    Suffix,
    Regex,
}

/// Whether a path is excluded, and which rules matched it. `above` are those that matched its folder.
fn matches(rules: &[Rule], path: &[u8], above: &[bool]) -> (bool, Vec<bool>) {
    let mut excluded = false;
    let mut matched = vec![false; rules.len()];
    for (index, rule) in rules.iter().enumerate() {
        // A rule that would change nothing is not tried, and then does not count as matching for what is below, either.
        let is_tried = rule.includes == excluded;
        if above.get(index) == Some(&true) || (is_tried && rule.pattern.matches(path)) {
            matched[index] = true;
            excluded = !rule.includes;
        }
    }
    (excluded, matched)
}

/// Fails if a pattern is malformed by the documentation of Go's `filepath.Match`.
fn check(pattern: &[u8]) -> Result<()> {
    let mut rest = pattern;
    while let Some((&first, after)) = rest.split_first() {
        rest = match first {
            b'[' => check_class(after.strip_prefix(b"^").unwrap_or(after))?,
            b'\\' => after.get(1..).context("nothing follows the backslash at its end")?,
            _ => after,
        };
    }
    Ok(())
}

/// Returns what follows a class, such as `a-z]`.
fn check_class(class: &[u8]) -> Result<&[u8]> {
    let mut rest = check_member(class)?;
    loop {
        rest = match rest.split_first() {
            Some((b'-', after)) => check_member(after)?,
            _ => rest,
        };
        if let Some(after) = rest.strip_prefix(b"]") {
            return Ok(after);
        }
        rest = check_member(rest)?;
    }
}

/// Returns what follows a character of a class.
fn check_member(class: &[u8]) -> Result<&[u8]> {
    let (escaped, class) = match class.strip_prefix(b"\\") {
        Some(class) => (true, class),
        None => (false, class),
    };
    let chunk = class.utf8_chunks().next().context("a `[` has no `]`")?;
    let character = chunk.valid().chars().next().context("a character between `[` and `]` is not UTF-8")?;
    if !escaped && matches!(character, '-' | ']') {
        bail!("between `[` and `]` write `\\{character}` for a `{character}` itself");
    }
    Ok(&class[character.len_utf8()..])
}

/// Without white space at both ends.
fn trim(line: &[u8]) -> &[u8] {
    let is_space = |character: &char| character.is_whitespace();
    let mut line = line;
    while let Some(space) = line.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next()).filter(is_space) {
        line = &line[space.len_utf8()..];
    }
    loop {
        let last = line.utf8_chunks().last().filter(|chunk| chunk.invalid().is_empty());
        let Some(space) = last.and_then(|chunk| chunk.valid().chars().next_back()).filter(is_space) else {
            return line;
        };
        line = &line[..line.len() - space.len_utf8()];
    }
}

/// Go's `filepath.Clean`: `/a/./b/` is `/a/b`, and `a/../../b` is `../b`.
fn clean(path: &[u8]) -> Vec<u8> {
    let is_absolute = path.starts_with(b"/");
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|last| *last != b"..") => drop(parts.pop()),
            b".." if is_absolute => {}
            part => parts.push(part),
        }
    }
    let cleaned = parts.join(&b'/');
    match (is_absolute, cleaned.is_empty()) {
        (true, _) => [b"/", &cleaned[..]].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => cleaned,
    }
}

#[cfg(test)]
mod tests;
