//! What a provider refuses before anything is planned: what the schema alone does not let OpenTofu see, and the rules.

use std::collections::BTreeMap;

use crate::diagnostic::{error_at, warning_at};
use crate::path::{Path, walk};
use crate::protocol::Diagnostic;
use crate::rules::{Format, TypeRules};
use crate::schema::{Field, Object};
use crate::value::{Map, Value};

/// What is wrong with a configuration. Values that are not known yet may become right and are let through.
pub fn validate(object: &Object, rules: &TypeRules, config: &Map) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let mut set: BTreeMap<String, Vec<(Path, &Value)>> = BTreeMap::new();
    walk(object, config, &mut |path, field, value| {
        problems.extend(of_field(path, field, value));
        problems.extend(of_value(path, rules, value));
        if !value.is_null() && *value != Value::List(Vec::new()) {
            set.entry(path.rule()).or_default().push((path.clone(), value));
        }
    });
    let across = Across { set };
    across.exclusive(rules, &mut problems);
    across.exactly_one(rules, &mut problems);
    across.together(rules, &mut problems);
    problems
}

fn of_field(path: &Path, field: &Field, value: &Value) -> Option<Diagnostic> {
    if value.is_null() {
        // OpenTofu asks that it is written down; `null` is as good as not written.
        let missing = field.required && field.block.is_none();
        let detail = format!("The argument \"{path}\" is required, but no definition was found.");
        return missing.then(|| error_at(path, "Missing required argument", detail));
    }
    if field.only_computed() {
        let detail = format!(
            "Can't configure a value for \"{path}\": its value will be decided automatically based on the result of applying \
             this configuration."
        );
        return Some(error_at(path, "Value for unconfigurable attribute", detail));
    }
    let detail = || format!("\"{path}\" is deprecated: see the provider's documentation for what replaces it.");
    field.deprecated.then(|| warning_at(path, "Argument is deprecated", detail()))
}

fn of_value(path: &Path, rules: &TypeRules, value: &Value) -> Vec<Diagnostic> {
    let rule = path.rule();
    let mut problems = Vec::new();
    if let (Some(allowed), Value::String(text)) = (rules.one_of_values.get(&rule), value)
        && !allowed.contains(text)
    {
        let detail = format!("expected {path} to be one of {allowed:?}, got {text}");
        problems.push(error_at(path, &format!("Invalid value for \"{path}\""), detail));
    }
    if let Some(most) = rules.max_length.get(&rule) {
        for (name, text) in texts(value) {
            if text.len() > *most {
                // Never the text: it may be a secret.
                let detail = format!("{path}{name} has {} bytes, and the provider allows {most}", text.len());
                problems.push(error_at(path, &format!("Value of \"{path}\" is too long"), detail));
            }
        }
    }
    if let (Some(format), Value::String(text)) = (rules.format.get(&rule), value)
        && let Some(expected) = format.broken_by(text)
    {
        let detail = format!("expected {path} to be {expected}");
        problems.push(error_at(path, &format!("Invalid value for \"{path}\""), detail));
    }
    problems
}

/// A text, or the texts in a map or list, each with what its place adds to a path.
fn texts(value: &Value) -> Vec<(String, &str)> {
    match value {
        Value::String(text) => vec![(String::new(), text)],
        Value::Map(map) => {
            let entries = map.iter().map(|(key, value)| (format!("[{key:?}]"), value));
            entries
                .filter_map(
                    |(at, value)| if let Value::String(text) = value { Some((at, text.as_str())) } else { None },
                )
                .collect()
        }
        _ => Vec::new(),
    }
}

impl Format {
    /// What the text should be and is not.
    fn broken_by(self, text: &str) -> Option<&'static str> {
        let (fits, expected) = match self {
            Self::Uuid => {
                let hex = |part: &str| part.chars().all(|c| c.is_ascii_hexdigit());
                let lengths: Vec<_> = text.split('-').map(str::len).collect();
                (lengths == [8, 4, 4, 4, 12] && text.split('-').all(hex), "a UUID")
            }
            Self::Duration => {
                let unit = |part: &str| {
                    let number = part.trim_end_matches(|c: char| c.is_ascii_alphabetic());
                    number.parse::<f64>().is_ok() && ["h", "m", "s"].contains(&&part[number.len()..])
                };
                // A part ends with its unit, so what is not whole ends with none.
                let parts = text.replace("ms", "s");
                (!text.is_empty() && parts.split_inclusive(['h', 'm', 's']).all(unit), "a duration, as 1m30s")
            }
            Self::Json => (serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(), "JSON"),
        };
        (!fits).then_some(expected)
    }
}

/// What is set in a configuration, by the path that rules know.
struct Across<'a> {
    set: BTreeMap<String, Vec<(Path, &'a Value)>>,
}

impl Across<'_> {
    fn exclusive(&self, rules: &TypeRules, problems: &mut Vec<Diagnostic>) {
        for (name, others) in &rules.conflicts {
            for other in others.iter().filter(|other| self.known(other)) {
                for (path, _) in self.set.get(name).into_iter().flatten() {
                    let detail = format!("\"{path}\": conflicts with {other}");
                    problems.push(error_at(path, "Conflicting configuration arguments", detail));
                }
            }
        }
    }

    fn exactly_one(&self, rules: &TypeRules, problems: &mut Vec<Diagnostic>) {
        for group in &rules.exactly_one_of {
            let known: Vec<_> = group.iter().filter(|name| self.known(name)).map(String::as_str).collect();
            let open = group.iter().any(|name| self.set.contains_key(name) && !self.known(name));
            let all = group.join(",");
            let detail = match known.len() {
                0 if !open => format!("one of `{all}` must be specified"),
                0 | 1 => continue,
                _ => format!("only one of `{all}` can be specified, but `{}` were specified.", known.join(",")),
            };
            let path = Path::default().field(known.first().map_or(group[0].as_str(), |name| name));
            problems.push(error_at(&path, "Invalid combination of arguments", format!("\"{path}\": {detail}")));
        }
    }

    fn together(&self, rules: &TypeRules, problems: &mut Vec<Diagnostic>) {
        for (name, others) in &rules.required_with {
            for (path, _) in self.set.get(name).into_iter().flatten() {
                if others.iter().any(|other| !self.set.contains_key(other)) {
                    let detail = format!("\"{path}\": all of `{name},{}` must be specified", others.join(","));
                    problems.push(error_at(path, "Missing required argument", detail));
                }
            }
        }
    }

    /// Set, and to something that is known: what is unknown may become null.
    fn known(&self, name: &str) -> bool {
        self.set.get(name).is_some_and(|found| found.iter().any(|(_, value)| **value != Value::Unknown))
    }
}
