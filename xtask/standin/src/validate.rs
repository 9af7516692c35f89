//! Validates configurations: the checks that the provider makes, beyond those that OpenTofu makes from the schema.

use std::collections::BTreeMap;

use crate::diagnostic::{error_at, warning_at};
use crate::path::{Path, walk};
use crate::protocol::Diagnostic;
use crate::rules::{Format, TypeRules};
use crate::schema::{Field, Object};
use crate::value::{Map, Value};

/// Returns the errors and warnings of a configuration. Unknown values pass all checks.
pub fn validate(object: &Object, rules: &TypeRules, config: &Map) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    let mut set: BTreeMap<String, Vec<(Path, &Value)>> = BTreeMap::new();
    walk(object, config, &mut |path, field, value| {
        diagnostics.extend(check_field(path, field, value));
        diagnostics.extend(check_value(path, rules, value));
        if !value.is_null() && *value != Value::List(Vec::new()) {
            set.entry(path.rule()).or_default().push((path.clone(), value));
        }
    });
    let set = SetFields(set);
    set.check_conflicts(rules, &mut diagnostics);
    set.check_exactly_one_of(rules, &mut diagnostics);
    set.check_required_with(rules, &mut diagnostics);
    diagnostics
}

fn check_field(path: &Path, field: &Field, value: &Value) -> Option<Diagnostic> {
    if value.is_null() {
        // OpenTofu checks only that a required argument is present; `null` reaches the provider.
        let missing = field.required && field.block.is_none();
        let detail = format!("The argument \"{path}\" is required, but no definition was found.");
        return missing.then(|| error_at(path, "Missing required argument", detail));
    }
    if field.is_read_only() {
        let detail = format!(
            "Can't configure a value for \"{path}\": its value will be decided automatically based on the result of applying \
             this configuration."
        );
        return Some(error_at(path, "Value for unconfigurable attribute", detail));
    }
    let detail = || format!("\"{path}\" is deprecated: see the provider's documentation for what replaces it.");
    field.deprecated.then(|| warning_at(path, "Argument is deprecated", detail()))
}

fn check_value(path: &Path, rules: &TypeRules, value: &Value) -> Vec<Diagnostic> {
    let rule = path.rule();
    let mut diagnostics = Vec::new();
    if let (Some(allowed), Value::String(text)) = (rules.one_of_values.get(&rule), value)
        && !allowed.contains(text)
    {
        let detail = format!("expected {path} to be one of {allowed:?}, got {text}");
        diagnostics.push(error_at(path, &format!("Invalid value for \"{path}\""), detail));
    }
    if let Some(most) = rules.max_length.get(&rule) {
        for (name, text) in texts(value) {
            if text.len() > *most {
                // Without the value, which can be a secret.
                let detail = format!("{path}{name} has {} bytes, and the provider allows {most}", text.len());
                diagnostics.push(error_at(path, &format!("Value of \"{path}\" is too long"), detail));
            }
        }
    }
    if let (Some(format), Value::String(text)) = (rules.format.get(&rule), value)
        && let Some(expected) = format.mismatch(text)
    {
        let detail = format!("expected {path} to be {expected}");
        diagnostics.push(error_at(path, &format!("Invalid value for \"{path}\""), detail));
    }
    diagnostics
}

/// The string, or the strings in a map, each with what to append to the path.
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
    /// Describes the format if the string does not have it.
    fn mismatch(self, text: &str) -> Option<&'static str> {
        let (matches, expected) = match self {
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
                // A rest without a unit is the last part, and fails the check.
                let parts = text.replace("ms", "s");
                (!text.is_empty() && parts.split_inclusive(['h', 'm', 's']).all(unit), "a duration such as 1m30s")
            }
            Self::Json => (serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(), "JSON"),
        };
        (!matches).then_some(expected)
    }
}

/// The fields that a configuration sets, by their path in rules.
struct SetFields<'a>(BTreeMap<String, Vec<(Path, &'a Value)>>);

impl SetFields<'_> {
    fn check_conflicts(&self, rules: &TypeRules, diagnostics: &mut Vec<Diagnostic>) {
        for (name, others) in &rules.conflicts {
            for other in others.iter().filter(|other| self.known(other)) {
                for (path, _) in self.0.get(name).into_iter().flatten() {
                    let detail = format!("\"{path}\": conflicts with {other}");
                    diagnostics.push(error_at(path, "Conflicting configuration arguments", detail));
                }
            }
        }
    }

    fn check_exactly_one_of(&self, rules: &TypeRules, diagnostics: &mut Vec<Diagnostic>) {
        for group in &rules.exactly_one_of {
            let known: Vec<_> = group.iter().filter(|name| self.known(name)).map(String::as_str).collect();
            let unknown = group.iter().any(|name| self.0.contains_key(name) && !self.known(name));
            let all = group.join(",");
            let detail = match known.len() {
                0 if !unknown => format!("one of `{all}` must be specified"),
                0 | 1 => continue,
                _ => format!("only one of `{all}` can be specified, but `{}` were specified.", known.join(",")),
            };
            let path = Path::default().field(known.first().map_or(group[0].as_str(), |name| name));
            diagnostics.push(error_at(&path, "Invalid combination of arguments", format!("\"{path}\": {detail}")));
        }
    }

    fn check_required_with(&self, rules: &TypeRules, diagnostics: &mut Vec<Diagnostic>) {
        for (name, others) in &rules.required_with {
            for (path, _) in self.0.get(name).into_iter().flatten() {
                if others.iter().any(|other| !self.0.contains_key(other)) {
                    let detail = format!("\"{path}\": all of `{name},{}` must be specified", others.join(","));
                    diagnostics.push(error_at(path, "Missing required argument", detail));
                }
            }
        }
    }

    /// Whether the field is set to a known value. An unknown value can become null.
    fn known(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|found| found.iter().any(|(_, value)| **value != Value::Unknown))
    }
}
