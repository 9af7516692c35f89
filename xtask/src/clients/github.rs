//! GitHub's REST API for one repository (its OpenAPI description 1.1.4, API version 2022-11-28): calls and answers, no policy.
//!
//! A request that failed for a moment is sent again. What may have been done although no answer came is looked for before it is sent
//! again ([`GitHub::create`]), so nothing is made twice.

mod attestations;
mod checks;
mod comments;
mod compare;
mod deployments;
mod environments;
mod error;
mod issues;
mod releases;
mod rules;
mod runs;
mod secrets;
mod send;
mod settings;
mod viewer;

use std::time::Duration;

use http::{HeaderValue, Method};
use octocrab::Octocrab;
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::checks::{Check, Conclusion};
pub use self::compare::Compared;
pub use self::deployments::{Deployment, DeploymentState, NewDeployment, NewStatus, Status};
pub use self::environments::{Access, DeployableRef, Protection, RefKind, RefPolicy, Reviewer, ReviewerKind};
pub use self::error::GitHubError;
pub use self::issues::{Closed, Issue};
pub use self::releases::{Asset, NewRelease, Release};
pub use self::rules::{Conditions, ListedRuleset, RefNames, RequiredCheck, RequiredChecks, Rule, Ruleset};
pub use self::runs::{Job, JobStep, WorkflowRun};
pub use self::settings::{ActionsPermissions, ForkApproval, SelectedActions, WorkflowToken};
use super::patience::{Attempts, Patience};
use super::registry::http::{host, is_loopback};
use crate::config::is_github_repository;

/// GitHub's own API.
pub const API: &str = "https://api.github.com";

/// Entries per page; the API's maximum.
const PAGE_SIZE: usize = 100;
/// The most pages of a list.
const MAX_PAGES: usize = 100;
/// The time limit of a request with its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// How many times as long one takes at most that sends or reads a file.
const FILE: u32 = 6;

type Result<T> = std::result::Result<T, GitHubError>;

/// One repository at GitHub.
pub struct GitHub {
    crab: Octocrab,
    /// For files, which take longer: those that are sent, and those that GitHub redirects to, without the token.
    files: reqwest::Client,
    /// For the host that takes files, which octocrab does not know.
    authorization: HeaderValue,
    api: Url,
    repository: String,
    patience: Patience,
}

impl GitHub {
    /// The repository `owner/name`. `api` is [`API`], the one of an enterprise's server, or an address of this machine in tests.
    pub fn new(api: &str, repository: &str, token: &SecretString, patience: &Patience) -> Result<Self> {
        Self::with_timeout(api, repository, token, patience, REQUEST_TIMEOUT)
    }

    /// The same with another time limit of a request.
    pub fn with_timeout(
        api: &str,
        repository: &str,
        token: &SecretString,
        patience: &Patience,
        timeout: Duration,
    ) -> Result<Self> {
        let unusable = |why: String| GitHubError::Other { what: format!("using the API at {api}"), why };
        let url = Url::parse(api).map_err(|_| unusable("it is not a URL".to_owned()))?;
        if url.scheme() != "https" && !is_loopback(&url) {
            return Err(unusable("the token requires https".to_owned()));
        }
        if !is_github_repository(repository) {
            return Err(unusable(format!("{repository:?} is not a repository as owner/name")));
        }
        // octocrab makes the same header, and panics where it cannot.
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
            .map_err(|_| unusable("the token is not valid in a header".to_owned()))?;
        authorization.set_sensitive(true);
        let client = |timeout: Duration| {
            let client = reqwest::Client::builder()
                .user_agent(concat!("xtask/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .timeout(timeout);
            let client = if is_loopback(&url) { client.no_proxy() } else { client };
            client.build().map_err(|error| unusable(error.to_string()))
        };
        let (through, files) = (client(timeout)?, client(timeout * FILE)?);
        let crab = Octocrab::builder()
            .base_uri(url.as_str().trim_end_matches('/'))
            .and_then(|builder| builder.personal_token(token.clone()).build_with_reqwest(through))
            .map_err(|error| unusable(error.to_string()))?;
        let (repository, patience) = (repository.to_owned(), patience.clone());
        Ok(Self { crab, files, authorization, api: url, repository, patience })
    }

    /// `owner/name`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The attempts of one request.
    fn attempts(&self) -> Attempts {
        self.patience.attempts(host(&self.api))
    }

    /// What is below the repository's path; none where nothing is there.
    async fn find<T: DeserializeOwned>(&self, path: &str, what: &str) -> Result<Option<T>> {
        match self.get(path, what).await {
            Ok(found) => Ok(Some(found)),
            Err(GitHubError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, what: &str) -> Result<T> {
        self.call(Method::GET, path, None::<&()>, what).await
    }

    /// Every entry of a list. `field` has the entries where the answer is no list itself.
    async fn list<T: DeserializeOwned>(&self, path: &str, field: Option<&str>, what: &str) -> Result<Vec<T>> {
        self.list_by(PAGE_SIZE, path, field, what).await
    }

    /// The same in pages of another size.
    async fn list_by<T: DeserializeOwned>(
        &self,
        size: usize,
        path: &str,
        field: Option<&str>,
        what: &str,
    ) -> Result<Vec<T>> {
        let mut all = Vec::new();
        let join = if path.contains('?') { '&' } else { '?' };
        for page in 1..=MAX_PAGES {
            let mut answer: Value = self.get(&format!("{path}{join}per_page={size}&page={page}"), what).await?;
            let entries = match field {
                Some(field) => answer.get_mut(field).map(Value::take).unwrap_or_default(),
                None => answer,
            };
            let entries: Vec<T> = serde_json::from_value(entries).map_err(|error| misread(what, &error))?;
            let is_last = entries.len() < size;
            all.extend(entries);
            if is_last {
                return Ok(all);
            }
        }
        Err(GitHubError::Other { what: what.to_owned(), why: format!("there are more than {MAX_PAGES} pages") })
    }

    /// Sends what can be sent twice with the same result.
    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
        what: &str,
    ) -> Result<T> {
        let mut attempts = self.attempts();
        loop {
            let failed = match self.once(&method, path, body, what).await {
                Ok(value) => return Ok(value),
                Err(failed) => failed,
            };
            let Some(wait) = failed.passes() else { return Err(failed.error) };
            if !attempts.again(wait).await {
                return Err(failed.error);
            }
        }
    }

    /// Deletes something, if it is still there.
    async fn delete(&self, path: &str, what: &str) -> Result<()> {
        match self.call(Method::DELETE, path, None::<&()>, what).await {
            Ok(()) | Err(GitHubError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sends what would be made twice if it were sent twice. Where it may have been made without an answer, or is there already,
    /// `find` says so.
    async fn create<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        what: &str,
        find: impl AsyncFn() -> Result<Option<T>>,
    ) -> Result<T> {
        let mut attempts = self.attempts();
        loop {
            let failed = match self.once(&Method::POST, path, Some(body), what).await {
                Ok(value) => return Ok(value),
                Err(failed) => failed,
            };
            let wait = failed.passes();
            if (wait.is_some() || matches!(failed.error, GitHubError::Exists { .. }))
                && let Some(made) = find().await?
            {
                return Ok(made);
            }
            let Some(wait) = wait else { return Err(failed.error) };
            if !attempts.again(wait).await {
                return Err(failed.error);
            }
        }
    }
}

fn misread(what: &str, error: &serde_json::Error) -> GitHubError {
    GitHubError::Other { what: what.to_owned(), why: format!("the answer is not understood: {error}") }
}

#[cfg(test)]
mod tests;
