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
    assert_snapshot!(refused(&with("{ reviewers: [-x, acme/ops/all, 'a b'], actions: [checkout] }")), @r"
    deploy.yaml:10:23: github.reviewers[0]: found the text `-x`, expected a login, or a team as org/team
      for example `login`
    deploy.yaml:10:27: github.reviewers[1]: found the text `acme/ops/all`, expected a login, or a team as org/team
      for example `login`
    deploy.yaml:10:41: github.reviewers[2]: found the text `a b`, expected a login, or a team as org/team
      for example `login`
    deploy.yaml:10:59: github.actions[0]: found the text `checkout`, expected an action, as owner/name
      for example `owner/name`
    ");
    assert_snapshot!(refused(&with("{ reviewers: [a, b, c, d, e, f, g] }")), @r"
    deploy.yaml:10:22: github.reviewers: GitHub takes six reviewers at most
      name a team: org/team
    ");
}
