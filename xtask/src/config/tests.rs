//! Reading deploy.yaml, and the messages of its problems.

mod compose;
mod easypanel;
mod github;
mod media;
mod service;
mod shape;
mod stack;
mod table;
mod text;
mod verify;

use super::{Config, ConfigError};

/// The smallest deploy.yaml.
const SMALLEST: &str = "\
project: shop
service:
  package: app
  settings: app/settings.json
  readiness: /health
environments:
  local:
    target: local
    port: 3000
";

/// The error of a refused deploy.yaml.
fn refused(yaml: &str) -> String {
    Config::parse(yaml).unwrap_err().to_string()
}

/// The error of the smallest deploy.yaml with `from` replaced.
fn refused_with(from: &str, to: &str) -> String {
    refused(&changed(from, to))
}

/// The smallest deploy.yaml with `from` replaced, which must occur once.
fn changed(from: &str, to: &str) -> String {
    assert_eq!(SMALLEST.matches(from).count(), 1, "{from}");
    SMALLEST.replacen(from, to, 1)
}

/// The line and column of each problem.
fn positions(error: &ConfigError) -> Vec<(usize, usize)> {
    error.problems().iter().map(|problem| problem.at.map_or((0, 0), |at| (at.line, at.column))).collect()
}
