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

#[test]
fn an_environment_cannot_have_the_name_of_another_ones_plans() {
    let plan = "environments:\n  local-plan: { target: local, port: 4 }";
    let both = SMALLEST.replace("environments:", plan);
    assert!(Config::parse(&both).is_ok(), "it is for GitHub alone");
    assert_snapshot!(refused(&format!("{both}github: {{ repository: owner/name }}\n")), @r"
    deploy.yaml:7:3: environments.local-plan: has the name of the environment at GitHub whose jobs plan local
      name it otherwise: GitHub has one environment `local-plan`, which needs no approval
    ");
}

#[test]
fn the_main_branch_is_no_expression_and_no_pattern_of_a_workflow() {
    for branch in ["main", "release/2.0", "feature#1"] {
        Config::parse(&format!("source: {{ main_branch: '{branch}' }}\n{SMALLEST}")).unwrap();
    }
    for branch in ["${{github.head_ref}}", "a$b", "a{b", "a}b", "a+", "!a", "a]", "a*", "a?", "[a", "a@{b"] {
        let said = refused(&format!("source: {{ main_branch: '{branch}' }}\n{SMALLEST}"));
        assert!(
            said.starts_with("deploy.yaml:1:") && said.contains("expected a branch of git, without"),
            "{branch}: {said}"
        );
    }
}
