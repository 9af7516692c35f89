//! The differences between the committed query cache and the database's answers, query by query.

use anyhow::Result;
use camino::Utf8Path;
use serde_json::Value;

use super::problem::{At, Problem};
use crate::fs::read_file;
use crate::hash::files_below;
use crate::tools::sqlx::cache::{Cache, Entry, FOLDER};

/// The sources of a package, in which queries are found.
pub struct Sources(Vec<Source>);

struct Source {
    /// Relative to the project's root.
    file: String,
    text: String,
    /// The text, [`compact`], and the offset of each of its bytes in the text.
    compact: String,
    offsets: Vec<usize>,
}

/// Every query that the committed cache lacks, describes differently, or has although no source has it. If the sources do
/// not compile, queries after the error were not described, so none counts as removed.
pub fn differences(committed: &Cache, fresh: &Cache, sources: &Sources, compiles: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, now) in &fresh.0 {
        let what = match committed.0.get(name) {
            Some(before) if before == now => continue,
            Some(before) => format!("the database describes this query differently: {}", difference(before, now)),
            None => "this query is not in the cache".to_owned(),
        };
        let text = format!("{what}: {}", start(&now.query));
        problems
            .push(Problem { at: Some(sources.find(&now.query).unwrap_or((format!("{FOLDER}/{name}"), 1, 1))), text });
    }
    let gone = committed.0.iter().filter(|(name, _)| compiles && !fresh.0.contains_key(*name));
    problems.extend(gone.map(|(name, entry)| {
        let text = format!("this query is in no source: {}", start(&entry.query));
        Problem::at(&format!("{FOLDER}/{name}"), 1, 1, text)
    }));
    problems.sort_by(|one, other| one.at.cmp(&other.at));
    problems
}

impl Sources {
    /// Reads the Rust and SQL files of a package.
    pub fn read(root: &Utf8Path, package: &Utf8Path) -> Result<Self> {
        let mut sources = Vec::new();
        for folder in ["src", "tests", "benches", "examples", "queries", "sql"].map(|name| package.join(name)) {
            if !folder.is_dir() {
                continue;
            }
            for path in files_below(&folder)? {
                if !matches!(path.extension(), Some("rs" | "sql")) {
                    continue;
                }
                let bytes = read_file(&path)?;
                let file = path.strip_prefix(root).unwrap_or(&path).to_string();
                sources.push(Source::new(file, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
        Ok(Self(sources))
    }

    /// The first macro of sqlx that takes a database when it is compiled.
    pub fn first_macro(&self) -> Option<At> {
        self.0.iter().filter(|source| source.file.ends_with(".rs")).find_map(Source::first_macro)
    }

    pub fn find(&self, query: &str) -> Option<At> {
        let (wanted, _) = compact(query);
        self.0.iter().find_map(|source| source.find(&wanted))
    }
}

impl Source {
    fn new(file: String, text: String) -> Self {
        let (compact, offsets) = compact(&text);
        Self { file, text, compact, offsets }
    }

    fn find(&self, wanted: &str) -> Option<At> {
        let found = if self.file.ends_with(".sql") {
            (self.compact == wanted).then_some(0)?
        } else {
            // With the quotes, so that the beginning of a longer query does not match.
            self.compact.find(&format!("\"{wanted}\""))? + 1
        };
        Some(self.at(*self.offsets.get(found)?))
    }

    /// `query!(`, `query_as!(` and the like, outside of comments.
    fn first_macro(&self) -> Option<At> {
        let is_macro = |rest: &str| {
            let name = rest.split(|c: char| c != '_' && !c.is_ascii_alphanumeric()).next().unwrap_or_default();
            let is_one = name == "query" || name.starts_with("query_");
            is_one
                && rest[name.len()..]
                    .strip_prefix('!')
                    .is_some_and(|rest| rest.trim_start().starts_with(['(', '[', '{']))
        };
        let found = self.text.match_indices("query").map(|(at, _)| at).find(|at| {
            let line = self.text[..*at].rsplit('\n').next().unwrap_or_default();
            let is_word = !line.ends_with(|c: char| c == '_' || c.is_ascii_alphanumeric());
            is_word && !line.contains("//") && is_macro(&self.text[*at..])
        });
        found.map(|at| self.at(at))
    }

    /// The place of a byte.
    fn at(&self, byte: usize) -> At {
        let before = &self.text[..byte];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (self.file.clone(), line, column)
    }
}

/// A text without white space, backslashes, and the `"+"` between the parts of a Rust literal.
fn compact(text: &str) -> (String, Vec<usize>) {
    let (mut compact, mut offsets) = (String::new(), Vec::new());
    for (at, c) in text.char_indices().filter(|(_, c)| !c.is_whitespace() && *c != '\\') {
        compact.push(c);
        offsets.extend(std::iter::repeat_n(at, c.len_utf8()));
        if compact.ends_with("\"+\"") {
            compact.truncate(compact.len() - 3);
            offsets.truncate(compact.len());
        }
    }
    (compact, offsets)
}

/// The differences in columns and parameters.
fn difference(before: &Entry, now: &Entry) -> String {
    if before.query.is_empty() {
        return "its file is damaged".to_owned();
    }
    let mut parts = Vec::new();
    let (old, new) = (columns(&before.describe), columns(&now.describe));
    for at in 0..old.len().max(new.len()) {
        match (old.get(at), new.get(at)) {
            (Some(old), Some(new)) if old == new => {}
            (Some((old, was)), Some((new, is))) if old == new => parts.push(format!("column `{new}`: {was} → {is}")),
            (Some((old, was)), Some((new, is))) => parts.push(format!("column `{old}` {was} → `{new}` {is}")),
            (Some((old, was)), None) => parts.push(format!("column `{old}` {was} is gone")),
            (None, Some((new, is))) => parts.push(format!("column `{new}` {is} is new")),
            (None, None) => {}
        }
    }
    let (old, new) = (parameters(&before.describe), parameters(&now.describe));
    for at in (0..old.len().max(new.len())).filter(|at| old.get(*at) != new.get(*at)) {
        let name = |side: Option<&String>| side.map_or("none", String::as_str).to_owned();
        parts.push(format!("parameter ${}: {} → {}", at + 1, name(old.get(at)), name(new.get(at))));
    }
    if parts.is_empty() { "the origin of its columns, or the layout of its file".to_owned() } else { parts.join(", ") }
}

/// The columns: name, and type with nullability.
fn columns(describe: &Value) -> Vec<(String, String)> {
    let columns = describe["columns"].as_array().map(Vec::as_slice).unwrap_or_default();
    let column = |(at, column): (usize, &Value)| {
        let null = match describe["nullable"][at].as_bool() {
            Some(true) => ", nullable",
            Some(false) => ", not null",
            None => "",
        };
        (text(&column["name"]), format!("{}{null}", text(&column["type_info"]).to_uppercase()))
    };
    columns.iter().enumerate().map(column).collect()
}

fn parameters(describe: &Value) -> Vec<String> {
    let parameters = describe["parameters"]["Left"].as_array().map(Vec::as_slice).unwrap_or_default();
    parameters.iter().map(|one| text(one).to_uppercase()).collect()
}

/// The name of a type. A type that the schema defines is an object.
fn text(value: &Value) -> String {
    let custom = value["Custom"]["name"].as_str();
    value.as_str().or(custom).map_or_else(|| value.to_string(), str::to_owned)
}

/// The first 80 characters of a query, on one line.
pub fn start(query: &str) -> String {
    let line = query.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(80) {
        Some((at, _)) => format!("{} …", &line[..at]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_macro_is_told_from_functions_and_comments() {
        let first = |text: &str| Source::new("src/lib.rs".to_owned(), text.to_owned()).first_macro().map(|at| at.1);
        assert_eq!(first("fn a() {\n    sqlx::query_as!(Row, \"SELECT\")\n}"), Some(2));
        assert_eq!(first("let a = query_file_scalar! [\"a.sql\"];"), Some(1));
        for none in ["query(\"SELECT\")", "// query!(\"\")", "my_query!(\"\")", "queryable!()", "let query = !(a);"] {
            assert_eq!(first(none), None, "{none}");
        }
    }

    #[test]
    fn a_query_is_found_in_every_layout() {
        let text = "fn a() {\n    query!(\n        \"SELECT a \\\n         FROM \\\"b\\\"\", x)\n}\n\
                    fn b() { query!(\"SELECT a FROM b\" + \" WHERE c\") }\nfn c() { query!(r#\"SELECT a\n FROM b\"#) }\n";
        let sources = Sources(vec![Source::new("src/lib.rs".to_owned(), text.to_owned())]);
        for (query, line) in [("SELECT a FROM \"b\"", 3), ("SELECT a FROM b WHERE c", 6), ("SELECT a\n FROM b", 7)] {
            assert_eq!(sources.find(query).map(|at| at.1), Some(line), "{query}");
        }
        assert_eq!(sources.find("SELECT a"), None, "the beginning of another");
    }
}
