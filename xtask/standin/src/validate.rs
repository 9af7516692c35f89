//! Validates configurations: the checks that the provider makes, beyond those that OpenTofu makes from the schema.

use std::collections::BTreeMap;

use crate::diagnostic::{error_at, warning_at};
use crate::path::{Path, walk};
use crate::protocol::Diagnostic;
use crate::rules::TypeRules;
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

/// The problems of values that the platform's API would refuse. `values` are those of a resource to be created or updated.
pub fn refused_by_api(object: &Object, rules: &TypeRules, values: &Map) -> Vec<String> {
    let mut problems = Vec::new();
    walk(object, values, &mut |path, _, value| {
        let check = rules.api_checks.get(&path.rule());
        problems.extend(check.into_iter().flat_map(|check| check.problems(&path.to_string(), value)));
    });
    problems.extend(rules.api_proportions.iter().filter_map(|pair| pair.problem(values)));
    problems
}

fn check_value(path: &Path, rules: &TypeRules, value: &Value) -> Vec<Diagnostic> {
    let problems = rules.checks.get(&path.rule()).map(|check| check.problems(&path.to_string(), value));
    let summary = format!("Invalid value for \"{path}\"");
    problems.into_iter().flatten().map(|problem| error_at(path, &summary, problem)).collect()
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
