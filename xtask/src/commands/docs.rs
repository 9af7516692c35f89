//! `docs`: the reference of deploy.yaml.

use anyhow::anyhow;
use clap::Args;
use serde_json::json;

use crate::config::{Entry, Reference};
use crate::failure::Failure;
use crate::report::Report;

/// Show what the keys of deploy.yaml mean
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask docs                             the topics
  cargo xtask docs service.port_variable       a key: its meaning, kind, default and an example
  cargo xtask docs environments.media          a mapping, with its keys
  cargo xtask docs --schema > deploy.schema.json

Editors check and complete deploy.yaml by the schema, where its first line is:
  # yaml-language-server: $schema=deploy.schema.json
`init` writes both, and `render` keeps the file up to date where deploy.yaml names it.")]
pub struct DocsArgs {
    /// A key of deploy.yaml; the end of its path is enough
    topic: Option<String>,
    /// Print the JSON Schema of deploy.yaml
    #[arg(long, conflicts_with = "topic")]
    schema: bool,
}

impl DocsArgs {
    /// Runs the command. It needs no deploy.yaml.
    pub fn run(self, report: &Report) -> Result<(), Failure> {
        let reference = Reference::new();
        if self.schema {
            report.data(&reference.schema_text());
            return Ok(());
        }
        let Some(topic) = self.topic else {
            let topics: Vec<&Entry> = reference.topics().collect();
            report
                .result(json!({ "topics": topics.iter().map(|it| about(it)).collect::<Vec<_>>() }), &list(&topics, ""));
            report.note("to read one, with its keys, type: cargo xtask docs service");
            return Ok(());
        };
        let found = reference.find(&topic);
        if found.is_empty() {
            let next = match reference.nearest(&topic) {
                Some(near) => format!("did you mean {near}? type: cargo xtask docs {near}"),
                None => "for the list of topics, type: cargo xtask docs".to_owned(),
            };
            return Err(Failure::Usage(anyhow!("deploy.yaml has no key {topic:?}\n  {next}")));
        }
        for (index, entry) in found.into_iter().enumerate() {
            let below: Vec<&Entry> = reference.below(entry).collect();
            let mut detail = about(entry);
            detail["keys"] = below.iter().map(|it| about(it)).collect();
            report.result(detail, &format!("{}{}", if index == 0 { "" } else { "\n" }, text(entry, &below)));
        }
        Ok(())
    }
}

/// A key as an event.
fn about(entry: &Entry) -> serde_json::Value {
    json!({
        "key": entry.path,
        "meaning": entry.meaning,
        "kinds": entry.kinds(),
        "required": entry.required && entry.with.is_none(),
        "required_with": entry.with,
        "default": entry.otherwise,
        "example": entry.line(),
        "targets": entry.is_of_some_targets().then_some(&entry.targets),
    })
}

/// A key on some lines, and the keys below it.
fn text(entry: &Entry, below: &[&Entry]) -> String {
    let mut text = format!("{}\n  {}\n\n", entry.path, entry.meaning.unwrap_or_default());
    let mut line = |label: &str, value: &str| text.push_str(&format!("  {label:<8} {value}\n"));
    line("kind", &entry.kinds().join(", or "));
    match (entry.required, entry.otherwise) {
        (true, _) => line("required", &entry.with.map_or_else(|| "yes".to_owned(), |key| format!("with `{key}`"))),
        (false, Some(otherwise)) => line("default", otherwise),
        (false, None) => line("default", "none"),
    }
    if entry.is_of_some_targets() {
        line("target", &entry.targets.join(", "));
    }
    line("example", &entry.line());
    if !below.is_empty() {
        text.push_str(&format!("\n  keys\n{}\n", list(below, &entry.path)));
    }
    text.trim_end().to_owned()
}

/// Keys with their meanings, a line each, below the path that they are in.
fn list(entries: &[&Entry], path: &str) -> String {
    let name = |entry: &Entry| match path {
        "" => entry.path.clone(),
        _ => entry.name().to_owned(),
    };
    let mark = |entry: &Entry| match (path, entry.is_of_some_targets()) {
        ("", _) | (_, false) => String::new(),
        _ => format!(" ({})", entry.targets.join(", ")),
    };
    let indent = if path.is_empty() { "" } else { "    " };
    let width = entries.iter().map(|entry| name(entry).len()).max().unwrap_or_default();
    let line = |entry: &&Entry| {
        format!("{indent}{:<width$}  {}{}", name(entry), entry.meaning.unwrap_or_default(), mark(entry))
    };
    entries.iter().map(line).collect::<Vec<_>>().join("\n")
}
