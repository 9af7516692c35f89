//! Which function answers which operation, and the permission that it needs.

use super::answer::Outcome;
use super::call::Call;
use super::repository::{self, Repository};
use super::tokens::Level;
use super::{
    assets, attestations, checks, comments, commits, compare, deployments, environments, issues, jobs, people, refs,
    releases, rules, secrets, settings, variables, workflows,
};

/// The stand-in's addresses: the API, the uploads, and what the API redirects to.
#[derive(Clone, Debug)]
pub(super) struct Urls {
    pub api: String,
    pub uploads: String,
    pub objects: String,
}

/// A function that answers an operation of a repository.
pub(super) type Handler = fn(&Call, &mut Repository) -> Outcome;

/// An operation of a repository and what answers it.
pub(super) struct Route {
    pub method: &'static str,
    /// Below `/repos/{owner}/{repo}`.
    pub path: &'static str,
    /// `issues:write|pull_requests:write`: one of them is enough.
    permission: &'static str,
    pub handler: Handler,
}

/// All operations of a repository, a subject each.
const ROUTES: &[&[Route]] = &[
    assets::ROUTES,
    attestations::ROUTES,
    checks::ROUTES,
    comments::ROUTES,
    commits::ROUTES,
    compare::ROUTES,
    deployments::ROUTES,
    environments::ROUTES,
    issues::ROUTES,
    jobs::ROUTES,
    people::ROUTES,
    refs::ROUTES,
    releases::ROUTES,
    repository::ROUTES,
    rules::ROUTES,
    secrets::ROUTES,
    settings::ROUTES,
    variables::ROUTES,
    workflows::ROUTES,
];

impl Route {
    pub const fn new(method: &'static str, path: &'static str, permission: &'static str, handler: Handler) -> Self {
        Self { method, path, permission, handler }
    }

    /// The route of an operation.
    pub fn find(method: &str, template: &str) -> Option<&'static Self> {
        let path = template.strip_prefix("/repos/{owner}/{repo}")?;
        ROUTES.iter().flat_map(|routes| routes.iter()).find(|route| route.method == method && route.path == path)
    }

    /// Area and level of the permissions of which it needs one.
    pub fn permissions(&self) -> impl Iterator<Item = (&'static str, Level)> {
        self.permission.split('|').map(|permission| {
            let (area, level) = permission.split_once(':').expect("a permission is AREA:LEVEL");
            (area, if level == "read" { Level::Read } else { Level::Write })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::github::description::Operation;

    #[test]
    fn each_described_operation_is_answered_and_no_other() {
        let described: BTreeSet<String> = Operation::all().map(|(method, path)| format!("{method} {path}")).collect();
        let routes = ROUTES.iter().flat_map(|routes| routes.iter());
        let routes = routes.map(|route| format!("{} /repos/{{owner}}/{{repo}}{}", route.method, route.path));
        let whole = ["GET /rate_limit", "GET /search/issues", "GET /user"].map(str::to_owned);
        let answered: BTreeSet<String> = routes.chain(whole).collect();
        assert_eq!(answered, described);
    }
}
