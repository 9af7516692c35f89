//! LogQL, as far as a query for lines goes: a stream selector and line filters, such as
//! `{resource_name="shop1a2b3c4d-app", stream=~"std.*"} |= "error"`.

use anyhow::{Context as _, Result, bail, ensure};
use regex::Regex;

pub struct Query {
    matchers: Vec<(String, Test)>,
    filters: Vec<Test>,
}

/// A condition on a text.
struct Test {
    wanted: bool,
    what: What,
}

enum What {
    Equal(String),
    Contains(String),
    Matches(Regex),
}

impl Query {
    /// Fails if the query has anything else, such as a parser stage or an aggregation.
    pub fn parse(text: &str) -> Result<Self> {
        let mut rest =
            text.trim().strip_prefix('{').context("a query begins with a stream selector, {…}")?.trim_start();
        let mut query = Self { matchers: Vec::new(), filters: Vec::new() };
        while !rest.starts_with('}') {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').context("the selector has no end")?;
            let (label, after) = rest.split_at(end);
            ensure!(!label.is_empty(), "a label is expected at {rest:?}");
            let (operator, after) = operator(after.trim_start(), ["=~", "!~", "!=", "="])?;
            let (value, after) = string(after.trim_start())?;
            query.matchers.push((label.to_owned(), Test::new(operator, value, true)?));
            rest = after.trim_start();
            match rest.strip_prefix(',') {
                Some(after) => rest = after.trim_start(),
                None => ensure!(rest.starts_with('}'), "a comma or a brace is expected at {rest:?}"),
            }
        }
        ensure!(!query.matchers.is_empty(), "the stream selector needs at least one matcher");
        rest = rest[1..].trim_start();
        while !rest.is_empty() {
            let (operator, after) = operator(rest, ["|=", "|~", "!=", "!~"])?;
            let (value, after) = string(after.trim_start())?;
            query.filters.push(Test::new(operator, value, false)?);
            rest = after.trim_start();
        }
        Ok(query)
    }

    /// Whether the query asks for the stream with these labels. A label that is missing is empty.
    pub fn selects<'a>(&self, label: impl Fn(&str) -> &'a str) -> bool {
        self.matchers.iter().all(|(name, test)| test.holds(label(name)))
    }

    /// Whether the filters let a line pass.
    pub fn passes(&self, line: &str) -> bool {
        self.filters.iter().all(|filter| filter.holds(line))
    }
}

impl Test {
    fn new(operator: &str, value: String, of_label: bool) -> Result<Self> {
        let what = match (operator, of_label) {
            // A label must match as a whole, a line in any part.
            ("=~" | "!~", true) => What::Matches(Regex::new(&format!("^(?s:{value})$"))?),
            ("|~" | "!~", false) => What::Matches(Regex::new(&value)?),
            (_, true) => What::Equal(value),
            (_, false) => What::Contains(value),
        };
        Ok(Self { wanted: !operator.starts_with('!'), what })
    }

    fn holds(&self, text: &str) -> bool {
        let holds = match &self.what {
            What::Equal(value) => text == value,
            What::Contains(value) => text.contains(value.as_str()),
            What::Matches(regex) => regex.is_match(text),
        };
        holds == self.wanted
    }
}

fn operator<'a>(text: &'a str, known: [&'static str; 4]) -> Result<(&'static str, &'a str)> {
    let found = known.into_iter().find_map(|operator| Some((operator, text.strip_prefix(operator)?)));
    found.with_context(|| format!("one of {} is expected at {text:?}", known.join(" ")))
}

/// A string in double quotes with escapes, or in backticks without.
fn string(text: &str) -> Result<(String, &str)> {
    if let Some(inner) = text.strip_prefix('`') {
        let (value, rest) = inner.split_once('`').context("a backtick is missing")?;
        return Ok((value.to_owned(), rest));
    }
    let inner = text.strip_prefix('"').with_context(|| format!("a string is expected at {text:?}"))?;
    let mut escaped = false;
    let end = inner.char_indices().find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    let Some((end, _)) = end else { bail!("a quote is missing") };
    let value =
        serde_json::from_str(&text[..end + 2]).with_context(|| format!("{:?} is not a string", &text[..end + 2]))?;
    Ok((value, &inner[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(query: &str, line: &str) -> bool {
        let query = Query::parse(query).unwrap();
        query.selects(|name| if name == "name" { "shop-app" } else { "" }) && query.passes(line)
    }

    #[test]
    fn labels_match_as_a_whole_and_lines_in_part() {
        assert!(matches(r#"{name="shop-app"}"#, ""));
        assert!(!matches(r#"{name="shop"}"#, ""));
        assert!(matches(r#"{ name =~ "shop-.*" , other="" }"#, ""));
        assert!(!matches(r#"{name=~"shop"}"#, ""));
        assert!(matches(r#"{name!~"shop", name!="x"} |= `a "b"` != "c" |~ "d+$" !~ "^e""#, "a \"b\" dd"));
        assert!(!matches(r#"{name="shop-app"} |= "a\"b""#, "ab"));
    }

    #[test]
    fn other_queries_are_refused() {
        for query in
            ["", "{}", "{name}", "{name=\"a\"", "{name=\"a\"} | json", "rate({name=\"a\"}[5m])", "{name=~\"(\"}"]
        {
            assert!(Query::parse(query).is_err(), "{query}");
        }
    }
}
