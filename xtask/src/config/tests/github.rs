//! The repository at GitHub.

use insta::assert_snapshot;

use super::{SMALLEST, refused};
use crate::config::Config;

fn with(line: &str) -> String {
    format!("{SMALLEST}github: {line}\n")
}

#[test]
fn reviewers_are_people_and_teams() {
    let config = Config::parse(&with("{ reviewers: [anna, acme/ops], actions: [docker/login-action] }")).unwrap();
    let github = config.github.unwrap();
    assert_eq!(github.reviewers, ["anna", "acme/ops"]);
    assert_eq!(github.actions, ["docker/login-action"]);
}

#[test]
fn what_is_no_reviewer_is_refused() {
    assert_snapshot!(refused(&with("{ reviewers: [-x, acme/ops/all, 'a b'], actions: [checkout] }")), @"");
    assert_snapshot!(refused(&with("{ reviewers: [a, b, c, d, e, f, g] }")), @"");
}
