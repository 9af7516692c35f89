//! Declares settings. One declaration parses the value, reports the problem of an invalid value, and adds the setting to
//! the schema.

use std::{collections::HashMap, fmt};

use serde::Serialize;

/// A missing or invalid variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The variable's name.
    pub name: &'static str,
    /// A predicate, such as `is not set`; never contains the value of a secret.
    pub message: String,
}

/// All problems of an environment, in the order of declaration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "{count} {} in the environment:", if count == 1 { "problem" } else { "problems" })?;
        for Problem { name, message } in &self.0 {
            write!(f, "\n  {name} {message}")?;
        }
        Ok(())
    }
}

/// The format of `settings.json`.
#[derive(Debug, Serialize)]
pub struct Schema {
    /// The version of the format.
    pub schema: u32,
    /// In the order of declaration.
    pub settings: Vec<Setting>,
}

/// A setting in `settings.json`.
#[derive(Debug, Serialize)]
pub struct Setting {
    /// The environment variable.
    pub name: &'static str,
    /// One line for `.env.example` and for errors.
    pub help: &'static str,
    /// `text`, `integer`, `boolean`, `url`, `path`, `port`, `duration` or `choice`.
    pub kind: &'static str,
    /// The values of a choice; empty for other kinds.
    pub values: &'static [&'static str],
    /// The value if the variable is not set.
    pub default: Option<&'static str>,
    /// Whether the service fails to start without it.
    pub required: bool,
    /// Whether the value must not be shown.
    pub secret: bool,
    /// What supplies the value during a deploy if the environment does not, such as `postgres` or `random`.
    pub supplied_by: Option<&'static str>,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Integer,
    Url,
    Path,
    Port,
    Choice(&'static [&'static str]),
    /// An RSA private key of 2048 bits, in PEM.
    RsaKey,
}

/// The environment, and the settings declared so far.
pub(super) struct Registry {
    vars: HashMap<String, String>,
    settings: Vec<Setting>,
    problems: Vec<Problem>,
}

impl Registry {
    pub(super) fn new(vars: HashMap<String, String>) -> Self {
        Self { vars, settings: Vec::new(), problems: Vec::new() }
    }

    /// Starts a declaration. [`Declaration::required`], [`Declaration::required_if`], [`Declaration::optional`] or
    /// [`Declaration::or`] completes it.
    pub(super) fn setting(&mut self, name: &'static str, kind: Kind, help: &'static str) -> Declaration<'_> {
        let (kind, values): (_, &[&str]) = match kind {
            Kind::Text => ("text", &[]),
            Kind::Integer => ("integer", &[]),
            Kind::Url => ("url", &[]),
            Kind::Path => ("path", &[]),
            Kind::Port => ("port", &[]),
            Kind::Choice(values) => ("choice", values),
            Kind::RsaKey => ("rsa-key", &[]),
        };
        let setting =
            Setting { name, help, kind, values, default: None, required: false, secret: false, supplied_by: None };
        Declaration { registry: self, setting }
    }

    /// Whether a variable is set.
    pub(super) fn has(&self, name: &str) -> bool {
        self.given(name).is_some()
    }

    pub(super) fn schema(self) -> Schema {
        Schema { schema: 1, settings: self.settings }
    }

    /// Returns the parsed settings, or all problems.
    pub(super) fn finish<T>(self, settings: Option<T>) -> Result<T, Problems> {
        match settings {
            Some(settings) if self.problems.is_empty() => Ok(settings),
            _ => Err(Problems(self.problems)),
        }
    }

    /// Deployment files pass unset variables as empty ones.
    fn given(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// The builder of a setting.
pub(super) struct Declaration<'a> {
    registry: &'a mut Registry,
    setting: Setting,
}

impl Declaration<'_> {
    /// Hides the value, also in errors.
    pub(super) fn secret(mut self) -> Self {
        self.setting.secret = true;
        self
    }

    /// See [`Setting::supplied_by`].
    pub(super) fn supplied_by(mut self, source: &'static str) -> Self {
        self.setting.supplied_by = Some(source);
        self
    }

    /// Parses the value, or reports that the variable is not set. The error of `parse` is the expected form.
    pub(super) fn required<T>(mut self, parse: impl Fn(&str) -> Result<T, &'static str>) -> Option<T> {
        self.setting.required = true;
        self.complete(parse)
    }

    /// Parses the value. Reports that the variable is not set only if `condition` holds, which `because` names:
    /// `STORAGE_BACKEND is s3`. The inner option is empty if the variable is not set.
    pub(super) fn required_if<T>(
        self,
        condition: bool,
        because: &str,
        parse: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Option<Option<T>> {
        if condition && self.given().is_none() {
            let Setting { name, help, .. } = self.setting;
            let problem = Problem { name, message: format!("is not set, and {because}: {help}") };
            self.registry.problems.push(problem);
        }
        self.optional(parse)
    }

    /// Parses the value, if the variable is set.
    pub(super) fn optional<T>(self, parse: impl Fn(&str) -> Result<T, &'static str>) -> Option<Option<T>> {
        if self.given().is_some() {
            return self.complete(parse).map(Some);
        }
        self.registry.settings.push(self.setting);
        Some(None)
    }

    /// Parses the value or the default. The error of `parse` is the expected form.
    pub(super) fn or<T>(mut self, default: &'static str, parse: impl Fn(&str) -> Result<T, &'static str>) -> Option<T> {
        self.setting.default = Some(default);
        self.complete(parse)
    }

    fn given(&self) -> Option<&str> {
        self.registry.given(self.setting.name)
    }

    fn complete<T>(self, parse: impl Fn(&str) -> Result<T, &'static str>) -> Option<T> {
        let parsed = self.given().or(self.setting.default).map(|value| (parse(value), value.to_owned()));
        let Self { registry, setting } = self;
        let Setting { name, help, secret, .. } = setting;
        registry.settings.push(setting);
        let Some((parsed, value)) = parsed else {
            registry.problems.push(Problem { name, message: format!("is not set: {help}") });
            return None;
        };
        match parsed {
            Ok(parsed) => Some(parsed),
            Err(expected) => {
                let invalid =
                    if secret { "is invalid (value hidden)".to_owned() } else { format!("is invalid: {value:?}") };
                registry.problems.push(Problem { name, message: format!("{invalid}; expected {expected}") });
                None
            }
        }
    }
}
