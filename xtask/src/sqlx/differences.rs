//! Where the committed query cache is not what the database says now, query by query.

use anyhow::Result;
use camino::Utf8Path;
use serde_json::Value;

use super::problem::{At, Problem};
use crate::hash::files_below;
use crate::tools::sqlx::cache::{Cache, Entry, FOLDER};

/// The sources of a package, in which queries are looked for.
pub struct Sources(Vec<Source>);

struct Source {
    /// Relative to the project's root.
    file: String,
    text: String,
    /// The text [`bare`], and the place of each of its bytes.
    bare: String,
    places: Vec<usize>,
}

/// Every query that the committed cache lacks, has otherwise, or has for nothing. When the sources do not compile, what is
/// superfluous cannot be told: the queries behind the mistake were not asked.
pub fn differences(committed: &Cache, fresh: &Cache, sources: &Sources, compiles: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, now) in &fresh.0 {
        let what = match committed.0.get(name) {
            Some(before) if before == now => continue,
            Some(before) => format!("the database says something else of this query: {}", difference(before, now)),
            None => "this query is not in the cache".to_owned(),
        };
        let text = format!("{what}: {}", start(&now.query));
        problems
            .push(Problem { at: Some(sources.find(&now.query).unwrap_or((format!("{FOLDER}/{name}"), 1, 1))), text });
    }
    let gone = committed.0.iter().filter(|(name, _)| compiles && !fresh.0.contains_key(*name));
    problems.extend(gone.map(|(name, entry)| {
        let text = format!("no source has this query any more: {}", start(&entry.query));
        Problem::at(&format!("{FOLDER}/{name}"), 1, 1, text)
    }));
    problems.sort_by(|one, other| one.at.cmp(&other.at));
    problems
}

impl Sources {
    /// Reads the Rust and SQL files of a package; `target` is no source.
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
                let bytes = fs_err::read(&path)?;
                let file = path.strip_prefix(root).unwrap_or(&path).to_string();
                sources.push(Source::new(file, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
        Ok(Self(sources))
    }

    fn find(&self, query: &str) -> Option<At> {
        let (wanted, _) = bare(query);
        self.0.iter().find_map(|source| source.find(&wanted))
    }
}

impl Source {
    fn new(file: String, text: String) -> Self {
        let (bare, places) = bare(&text);
        Self { file, text, bare, places }
    }

    fn find(&self, wanted: &str) -> Option<At> {
        let found = if self.file.ends_with(".sql") {
            (self.bare == wanted).then_some(0)?
        } else {
            // In its quotes: the beginning of a longer query is another query.
            self.bare.find(&format!("\"{wanted}\""))? + 1
        };
        let before = &self.text[..*self.places.get(found)?];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Some((self.file.clone(), line, column))
    }
}

/// A text without its layout and without what Rust puts between the pieces of one: backslashes, and `"+"`.
fn bare(text: &str) -> (String, Vec<usize>) {
    let (mut bare, mut places) = (String::new(), Vec::new());
    for (at, c) in text.char_indices().filter(|(_, c)| !c.is_whitespace() && *c != '\\') {
        bare.push(c);
        places.extend(std::iter::repeat_n(at, c.len_utf8()));
        if bare.ends_with("\"+\"") {
            bare.truncate(bare.len() - 3);
            places.truncate(bare.len());
        }
    }
    (bare, places)
}

/// What differs, for people: columns and parameters by their types.
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
    if parts.is_empty() {
        "where its columns come from, or how its file is written".to_owned()
    } else {
        parts.join(", ")
    }
}

/// Names, with type and whether it may be NULL.
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

/// A type's name; those that the schema makes itself are objects.
fn text(value: &Value) -> String {
    let custom = value["Custom"]["name"].as_str();
    value.as_str().or(custom).map_or_else(|| value.to_string(), str::to_owned)
}

/// A query on one line, cut where it gets long.
fn start(query: &str) -> String {
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
    fn a_query_is_found_however_it_is_written() {
        let text = "fn a() {\n    query!(\n        \"SELECT a \\\n         FROM \\\"b\\\"\", x)\n}\n\
                    fn b() { query!(\"SELECT a FROM b\" + \" WHERE c\") }\nfn c() { query!(r#\"SELECT a\n FROM b\"#) }\n";
        let sources = Sources(vec![Source::new("src/lib.rs".to_owned(), text.to_owned())]);
        for (query, line) in [("SELECT a FROM \"b\"", 3), ("SELECT a FROM b WHERE c", 6), ("SELECT a\n FROM b", 7)] {
            assert_eq!(sources.find(query).map(|at| at.1), Some(line), "{query}");
        }
        assert_eq!(sources.find("SELECT a"), None, "the beginning of another");
    }
}
