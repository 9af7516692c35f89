//! The section `github` of deploy.yaml.

use super::check;
use super::field::{Table, key};
use super::workflows::{Workflows, workflows};

/// The most reviewers of an environment that GitHub takes.
const MAX_REVIEWERS: usize = 6;

/// The repository at GitHub that releases, checks and deployments are in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitHub {
    /// `owner/name`. Without it, the environment or the remote `origin` names it.
    pub repository: Option<String>,
    /// The names of the checks that a commit needs before its release is promoted. Without them, every check that the commit has.
    pub required_checks: Vec<String>,
    /// Who approves a deployment: logins, or teams as `org/team`. Without them, no one has to.
    pub reviewers: Vec<String>,
    /// The actions that the user's own workflows have, beside GitHub's own and the toolkit's: `owner/name`.
    pub actions: Vec<String>,
    /// What the rendered workflows have of the user's own.
    pub workflows: Workflows,
}

pub(super) fn github(table: &mut Table<'_>) -> Option<GitHub> {
    let repository = table.optional(
        key("repository", "owner/name", "The repository at GitHub.")
            .otherwise("GITHUB_REPOSITORY, or what the remote `origin` names"),
        |field| field.text("a repository at GitHub, as owner/name", check::is_github_repository),
    );
    let required_checks = table.optional(
        key("required_checks", "[test]", "The checks that a commit needs before its release is promoted.")
            .otherwise("every check that the commit has"),
        |field| field.list("test", |item| item.text("the name of a check", check::is_check_name)),
    );
    let reviewers = table.optional(
        key(
            "reviewers",
            "[login, org/team]",
            "Who approves a deployment at GitHub: logins, or teams. GitHub takes six at most.",
        )
        .otherwise("no approval"),
        |field| {
            let what = "a login, or a team as org/team";
            let all = field.list("login", |item| item.text(what, check::is_reviewer))?;
            match all.len() > MAX_REVIEWERS {
                true => field.refuse("GitHub takes six reviewers at most", "name a team: org/team"),
                false => Some(all),
            }
        },
    );
    let actions = table.optional(
        key("actions", "[owner/name]", "The actions that your own workflows use, beside GitHub's and the toolkit's.")
            .otherwise("none"),
        |field| field.list("owner/name", |item| item.text("an action, as owner/name", check::is_github_repository)),
    );
    let workflows = table.optional(
        key(
            "workflows",
            "{ runner: ubuntu-24.04 }",
            "What the rendered workflows have of your own: jobs, steps, schedules.",
        ),
        |field| field.table(workflows),
    );
    Some(GitHub {
        repository: repository?,
        required_checks: required_checks?.unwrap_or_default(),
        reviewers: reviewers?.unwrap_or_default(),
        actions: actions?.unwrap_or_default(),
        workflows: workflows?.unwrap_or_default(),
    })
}
