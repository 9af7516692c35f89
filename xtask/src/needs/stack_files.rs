//! The blocks of a stack's files, as far as names go: which variables it declares, which providers it configures. For files that are
//! formatted as `tofu fmt` does it, an attribute and the beginning and end of a block on a line each.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use camino::Utf8Path;

use crate::fs::read_text;

/// A block at the top of a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// Its type and labels: `variable`, `bucket`.
    pub labels: Vec<String>,
    /// Its attributes by their path (`required_providers.aws.source`), and the text of the value on the same line.
    pub attributes: BTreeMap<String, String>,
}

impl Block {
    /// Whether it is of this type.
    pub fn is(&self, kind: &str) -> bool {
        self.labels.first().is_some_and(|first| first == kind)
    }

    /// The text of an attribute that is a string.
    fn string(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)?.strip_prefix('"')?.strip_suffix('"')
    }
}

/// A variable that a stack declares.
#[derive(Debug, PartialEq, Eq)]
pub struct Variable<'a> {
    /// Its name.
    pub name: &'a str,
    /// The expression of its default, if it has one.
    pub default: Option<&'a str>,
    /// What it is.
    pub description: Option<&'a str>,
    /// Whether its value is secret.
    pub sensitive: bool,
}

/// The blocks of all files of a stack, in the order of their names.
pub fn blocks(folder: &Utf8Path) -> Result<Vec<Block>> {
    let mut files = Vec::new();
    for entry in folder.read_dir_utf8().with_context(|| format!("read the stack {folder}"))? {
        let path = entry?.into_path();
        if matches!(path.extension(), Some("tf" | "tofu")) {
            files.push(path);
        }
    }
    files.sort();
    let mut all = Vec::new();
    for file in files {
        all.extend(of_text(&read_text(&file).with_context(|| format!("read {file}"))?));
    }
    Ok(all)
}

/// The variables among the blocks.
pub fn variables(blocks: &[Block]) -> Vec<Variable<'_>> {
    blocks.iter().filter(|block| block.is("variable")).filter_map(variable).collect()
}

fn variable(block: &Block) -> Option<Variable<'_>> {
    let [_, name] = block.labels.as_slice() else { return None };
    Some(Variable {
        name,
        default: block.attributes.get("default").map(String::as_str),
        description: block.string("description"),
        sensitive: block.attributes.get("sensitive").is_some_and(|value| value == "true"),
    })
}

fn of_text(text: &str) -> Vec<Block> {
    let (mut blocks, mut open) = (Vec::new(), Vec::<String>::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let line = without_comment(line).trim();
        let first = line.split([' ', '=', '{', '"']).next().unwrap_or_default();
        let value = line.split_once('=').map(|(_, value)| value.trim().to_owned());
        if open.is_empty() {
            if let Some((header, rest)) = line.split_once('{') {
                let labels = header.split_whitespace().map(|label| label.trim_matches('"').to_owned()).collect();
                let mut attributes = BTreeMap::new();
                // A block on one line has at most one attribute.
                if let Some((name, value)) = rest.trim_end_matches('}').split_once('=') {
                    attributes.insert(name.trim().to_owned(), value.trim().to_owned());
                }
                blocks.push(Block { labels, attributes });
            }
        } else if let (Some(block), Some(value)) = (blocks.last_mut(), &value)
            && first.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        {
            let path = open.iter().skip(1).map(String::as_str).chain([first]).collect::<Vec<_>>().join(".");
            block.attributes.entry(path).or_insert_with(|| value.clone());
        }
        match depth(line) {
            0 => {}
            deeper if deeper > 0 => open.extend((0..deeper).map(|_| first.to_owned())),
            out => open.truncate(open.len().saturating_sub(out.unsigned_abs())),
        }
        if let Some(end) = value.as_deref().and_then(heredoc) {
            lines.by_ref().find(|line| line.trim() == end);
        }
    }
    blocks
}

/// The word that ends a heredoc which begins with a value.
fn heredoc(value: &str) -> Option<&str> {
    value.strip_prefix("<<-").or_else(|| value.strip_prefix("<<"))
}

/// How many braces a line opens more than it closes, outside of strings.
fn depth(line: &str) -> isize {
    let brace = |c: char| match c {
        '{' => 1,
        '}' => -1,
        _ => 0,
    };
    outside_of_strings(line).map(|(_, c)| brace(c)).sum()
}

fn without_comment(line: &str) -> &str {
    let mut before = ' ';
    for (at, c) in outside_of_strings(line) {
        if c == '#' {
            return &line[..at];
        }
        if c == '/' && before == '/' {
            return &line[..at - 1];
        }
        before = c;
    }
    line
}

/// The characters of a line that are in no string, with their places.
fn outside_of_strings(line: &str) -> impl Iterator<Item = (usize, char)> + '_ {
    let (mut within, mut escaped) = (false, false);
    line.char_indices().filter(move |(_, c)| {
        let was = within;
        match c {
            '"' if !escaped => within = !within,
            _ => {}
        }
        escaped = within && *c == '\\' && !escaped;
        !was && !within
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_what_they_are_is_found() {
        let text = "variable \"a\" {}\nvariable \"b\" {\n  type = string # { not a block\n}\n\nvariable \"c\" { default = 3 }\n\
                    variable \"d\" {\n  description = \"the default = 3 # \\\"or so\\\"\"\n  sensitive   = true\n\n  validation {\n    \
                    condition = alltrue([for key in {} : \"${key}{\" == key])\n    default   = 1\n  }\n}\nvariable \"e\" {\n  \
                    description = <<-EOT\n    default = 4\n    }\n  EOT\n  default     = null\n}\noutput \"f\" {\n}\n";
        let blocks = of_text(text);
        let found = variables(&blocks);
        let names: Vec<&str> = found.iter().map(|variable| variable.name).collect();
        assert_eq!(names, ["a", "b", "c", "d", "e"]);
        let defaults: Vec<Option<&str>> = found.iter().map(|variable| variable.default).collect();
        assert_eq!(defaults, [None, None, Some("3"), None, Some("null")]);
        assert_eq!(found[3].description, Some("the default = 3 # \\\"or so\\\""));
        assert!(found[3].sensitive && !found[4].sensitive);
    }

    #[test]
    fn attributes_of_inner_blocks_have_paths() {
        let text = "terraform {\n  required_providers {\n    aws = {\n      source = \"hashicorp/aws\"\n    }\n  }\n}\n\
                    provider \"aws\" {\n  access_key = var.key\n}\n";
        let blocks = of_text(text);
        assert_eq!(blocks[0].attributes["required_providers.aws.source"], "\"hashicorp/aws\"");
        assert_eq!(blocks[1].labels, ["provider", "aws"]);
        assert!(blocks[1].attributes.contains_key("access_key"));
    }
}
