//! The mechanism behind the settings: a sheet on which each variable is declared once. Declaring parses the value,
//! notes what is wrong with it and enters it in the table, in one go.

use std::{collections::HashMap, fmt};

use serde::Serialize;

/// What can go wrong with one variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The variable.
    pub name: &'static str,
    /// What is wrong with it; never a secret's value.
    pub wrong: String,
    /// What would be right.
    pub expected: String,
}

/// Every problem of an environment, in the order of declaration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "{count} {} in the environment:", if count == 1 { "problem" } else { "problems" })?;
        for Problem { name, wrong, expected } in &self.0 {
            write!(f, "\n  {name} {wrong}; expected {expected}")?;
        }
        Ok(())
    }
}

/// The table of all settings, as data for other programs.
#[derive(Debug, Serialize)]
pub struct Schema {
    /// The version of this format.
    pub schema: u32,
    /// The settings, in the order of declaration.
    pub settings: Vec<Entry>,
}

/// One setting as data.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// The variable's name.
    pub name: &'static str,
    /// What it does, for people.
    pub help: &'static str,
    /// text, integer, boolean, url, path, port, duration or choice.
    pub kind: &'static str,
    /// What a choice can be; empty for every other kind.
    pub values: &'static [&'static str],
    /// What holds when it is not set.
    pub default: Option<&'static str>,
    /// Whether the service refuses to start without it.
    pub required: bool,
    /// Whether its value must never be shown.
    pub secret: bool,
    /// Who may fill it in when the operator does not.
    pub supplied_by: Option<&'static str>,
}

/// What a value looks like.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Integer,
    Url,
    Path,
    Port,
    Choice(&'static [&'static str]),
}

/// Collects declarations; see the module's text.
pub(super) struct Sheet {
    vars: HashMap<String, String>,
    entries: Vec<Entry>,
    problems: Vec<Problem>,
}

impl Sheet {
    pub(super) fn new(vars: HashMap<String, String>) -> Self {
        Self { vars, entries: Vec::new(), problems: Vec::new() }
    }

    /// Begins a declaration, which [`Declaration::required`] or [`Declaration::or`] completes.
    pub(super) fn setting(&mut self, name: &'static str, kind: Kind, help: &'static str) -> Declaration<'_> {
        let (kind, values): (_, &[&str]) = match kind {
            Kind::Text => ("text", &[]),
            Kind::Integer => ("integer", &[]),
            Kind::Url => ("url", &[]),
            Kind::Path => ("path", &[]),
            Kind::Port => ("port", &[]),
            Kind::Choice(values) => ("choice", values),
        };
        let entry =
            Entry { name, help, kind, values, default: None, required: false, secret: false, supplied_by: None };
        Declaration { sheet: self, entry }
    }

    pub(super) fn schema(self) -> Schema {
        Schema { schema: 1, settings: self.entries }
    }

    /// The settings, or all that is wrong with them.
    pub(super) fn finish<T>(self, settings: Option<T>) -> Result<T, Problems> {
        match settings {
            Some(settings) if self.problems.is_empty() => Ok(settings),
            _ => Err(Problems(self.problems)),
        }
    }
}

/// A declaration under way.
pub(super) struct Declaration<'a> {
    sheet: &'a mut Sheet,
    entry: Entry,
}

impl Declaration<'_> {
    /// The value must not be shown, not even in an error.
    pub(super) fn secret(mut self) -> Self {
        self.entry.secret = true;
        self
    }

    /// Who may fill the value in when the operator does not.
    pub(super) fn supplied_by(mut self, who: &'static str) -> Self {
        self.entry.supplied_by = Some(who);
        self
    }

    /// Without it the service does not start. `parse` returns what it expected where it fails.
    pub(super) fn required<T>(mut self, parse: impl Fn(&str) -> Result<T, &'static str>) -> Option<T> {
        self.entry.required = true;
        self.complete(parse)
    }

    /// Without it `default` holds.
    pub(super) fn or<T>(mut self, default: &'static str, parse: impl Fn(&str) -> Result<T, &'static str>) -> Option<T> {
        self.entry.default = Some(default);
        self.complete(parse)
    }

    fn complete<T>(self, parse: impl Fn(&str) -> Result<T, &'static str>) -> Option<T> {
        let Self { sheet, entry } = self;
        let Entry { name, help, secret, default, .. } = entry;
        sheet.entries.push(entry);
        // Deployment files pass an unset value on as an empty one.
        let given = sheet.vars.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let Some(value) = given.or(default) else {
            sheet.problems.push(Problem { name, wrong: "is not set".into(), expected: format!("a value: {help}") });
            return None;
        };
        match parse(value) {
            Ok(parsed) => Some(parsed),
            Err(expected) => {
                let wrong =
                    if secret { "is not usable (its value is not shown)".into() } else { format!("is {value:?}") };
                sheet.problems.push(Problem { name, wrong, expected: expected.into() });
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;

    fn vars(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn every_problem_is_reported_at_once_and_no_secret_is_shown() {
        let problems = Settings::from_vars(vars(&[
            ("DATABASE_URL", "mysql://root:hunter2@db/x"),
            ("PORT", "70000"),
            ("JWT_SECRET", "short-secret"),
            ("LOG_FORMAT", "xml"),
            ("MAX_PIXELS", "0"),
            ("UPLOAD_DIR", ""),
        ]))
        .err()
        .unwrap();
        let names: Vec<_> = problems.0.iter().map(|problem| problem.name).collect();
        assert_eq!(
            names,
            ["DATABASE_URL", "PORT", "UPLOAD_DIR", "JWT_SECRET", "BOOTSTRAP_TOKEN", "MAX_PIXELS", "LOG_FORMAT"]
        );
        let text = problems.to_string();
        assert!(text.starts_with("7 problems in the environment:\n  DATABASE_URL is not usable"), "{text}");
        assert!(text.contains("PORT is \"70000\"; expected a port from 0 to 65535"), "{text}");
        assert!(text.contains("BOOTSTRAP_TOKEN is not set"), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("short-secret"), "{text}");
    }

    #[test]
    fn defaults_fill_what_is_not_set() {
        let settings = Settings::from_vars(vars(&[
            ("DATABASE_URL", "postgres://u:hunter2@localhost/db?host=/run/x"),
            ("UPLOAD_DIR", "/data"),
            ("JWT_SECRET", &"j".repeat(32)),
            ("BOOTSTRAP_TOKEN", &"b".repeat(32)),
        ]))
        .unwrap();
        assert_eq!((settings.port, settings.service_version.as_str()), (3000, "unversioned"));
        assert_eq!((settings.max_upload_bytes, settings.max_pixels), (10_485_760, 40_000_000));
    }

    #[test]
    fn the_committed_table_is_the_declared_one() {
        let declared = serde_json::to_string_pretty(&Settings::schema()).unwrap() + "\n";
        let committed = fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/settings.json")).unwrap();
        assert!(committed == declared, "settings.json is stale: cargo run -p app -- config schema > app/settings.json");
    }
}
