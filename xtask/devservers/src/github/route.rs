//! Which function answers which operation, and the permission that it needs.

use super::answer::Outcome;
use super::call::Call;
use super::repository::{self, Repository};
use super::tokens::Level;
use super::{assets, checks, commits, compare, deployments, jobs, refs, releases, rules, workflows};

/// The addresses of the stand-in's hosts: the API, the uploads, and what both redirect to.
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
    permission: &'static str,
    pub handler: Handler,
}

/// All operations of a repository, a subject each.
const ROUTES: &[&[Route]] = &[
    repository::ROUTES,
    assets::ROUTES,
    checks::ROUTES,
    commits::ROUTES,
    compare::ROUTES,
    deployments::ROUTES,
    refs::ROUTES,
    jobs::ROUTES,
    releases::ROUTES,
    rules::ROUTES,
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

    /// Area and level of the permission that it needs.
    pub fn permission(&self) -> (&'static str, Level) {
        let (area, level) = self.permission.split_once(':').expect("a permission is AREA:LEVEL");
        (area, if level == "read" { Level::Read } else { Level::Write })
    }
}
