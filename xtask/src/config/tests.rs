//! deploy.yaml: what it may say, and what is said of what it may not.

mod shape;
mod stack;
mod table;
mod text;

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

/// What is said of a deploy.yaml that is refused.
fn refused(yaml: &str) -> String {
    Config::parse(yaml).unwrap_err().to_string()
}

/// What is said of the smallest deploy.yaml with `from` replaced.
fn refused_with(from: &str, to: &str) -> String {
    refused(&changed(from, to))
}

/// The smallest deploy.yaml with `from` replaced; it must be there once.
fn changed(from: &str, to: &str) -> String {
    assert_eq!(SMALLEST.matches(from).count(), 1, "{from}");
    SMALLEST.replacen(from, to, 1)
}

/// Where each problem is: line and column.
fn places(error: &ConfigError) -> Vec<(usize, usize)> {
    error.problems().iter().map(|problem| problem.at.map_or((0, 0), |at| (at.line, at.column))).collect()
}
