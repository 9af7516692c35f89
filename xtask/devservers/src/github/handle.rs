//! What a test reads of a repository, and what it puts there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Inner;
use super::events::Event;
use super::plan::Feature;
use super::repository::Repository;
use super::run::{Callback, Run};
use super::secrets::Secrets;
use super::tokens::Kind;

/// A repository of the stand-in, for the test.
pub struct Handle {
    pub(super) inner: Arc<Inner>,
    pub(super) key: (String, String),
}

impl Handle {
    /// Makes a commit on a branch: its hash. A new branch begins without a parent, or at the commit that it is set to.
    pub fn commit(&self, branch: &str, message: &str) -> String {
        self.with(|repository| {
            let name = format!("refs/heads/{branch}");
            let parents: Vec<String> = repository.refs.get(&name).cloned().into_iter().collect();
            let sha = repository.commits.add(&parents, message);
            repository.refs.insert(name, sha.clone());
            sha
        })
    }

    /// Points a ref to a commit: `refs/heads/main`, `refs/tags/v1`.
    pub fn set_ref(&self, name: &str, sha: &str) {
        self.with(|repository| repository.refs.insert(name.to_owned(), sha.to_owned()));
    }

    /// Reads the commits, branches and tags of a git folder. Refs that the folder lacks stay.
    pub fn read(&self, folder: &Path) -> anyhow::Result<()> {
        self.with(|repository| {
            let refs = repository.commits.read(folder)?;
            repository.refs.extend(refs);
            Ok(())
        })
    }

    /// The commit that a branch, a tag or a hash names.
    pub fn resolve(&self, name: &str) -> Option<String> {
        self.with(|repository| repository.resolve(name))
    }

    /// All refs and their commits.
    pub fn refs(&self) -> Vec<(String, String)> {
        self.with(|repository| repository.refs.clone().into_iter().collect())
    }

    /// Adds a check run to a commit, with a conclusion or still in progress.
    pub fn check(&self, name: &str, sha: &str, conclusion: Option<&str>) {
        let fields = json!({"status": "in_progress", "conclusion": conclusion});
        self.with(|repository| repository.add_check(name, sha, None, &fields));
    }

    /// All releases with their assets, oldest first, drafts too.
    pub fn releases(&self) -> Vec<Value> {
        self.with(|repository| {
            let ids: Vec<u64> = repository.releases.list.iter().filter_map(|release| release["id"].as_u64()).collect();
            ids.into_iter().filter_map(|id| repository.release(id)).collect()
        })
    }

    /// The bytes of an asset.
    pub fn asset(&self, tag: &str, name: &str) -> Option<Vec<u8>> {
        self.with(|repository| {
            let release = repository.releases.list.iter().find(|release| release["tag_name"] == tag)?["id"].as_u64()?;
            let mut assets = repository.releases.assets.iter().filter(|asset| asset.release == release);
            assets.find(|asset| asset.value["name"] == name).map(|asset| asset.bytes.clone())
        })
    }

    /// Whether what is published from now on is immutable.
    pub fn immutable(&self, immutable: bool) {
        self.with(|repository| repository.releases.immutable = immutable);
    }

    /// All deployments with the states that each has had, oldest first.
    pub fn deployments(&self) -> Vec<(Value, Vec<String>)> {
        self.with(|repository| {
            let list = repository.deployments.list.iter();
            let states = |deployment: &Value| repository.deployments.states(deployment["id"].as_u64().unwrap_or(0));
            list.map(|deployment| (deployment.clone(), states(deployment))).collect()
        })
    }

    /// Adds a workflow: its path, its name, the events that start it (`release:released`, `push`) and what a run does.
    /// Without that, a run stays queued until the test ends it.
    pub fn workflow(&self, path: &str, name: &str, on: &[&str], does: Option<Callback>) {
        self.with(|repository| repository.add_workflow(path, name, on, does));
    }

    /// Tells that a person has pushed a branch, which starts the workflows that wait for it.
    pub fn pushed(&self, branch: &str) {
        let name = format!("refs/heads/{branch}");
        let payload = json!({"ref": name, "created": false});
        self.with(|repository| repository.happened(Kind::Person, "push", None, &name, payload));
        self.inner.begin_runs();
    }

    /// The runs so far, oldest first.
    pub fn runs(&self) -> Vec<Value> {
        self.with(|repository| repository.workflows.runs.clone())
    }

    /// A run, to have it go on.
    pub fn run(&self, id: u64) -> Run {
        Run { inner: Arc::clone(&self.inner), repository: self.key.clone(), id }
    }

    /// What the jobs of a run have printed.
    pub fn log(&self, run: u64) -> String {
        self.with(|repository| {
            let jobs = repository.workflows.jobs.iter().filter(|job| job.value["run_id"] == run);
            jobs.map(|job| job.log.as_str()).collect()
        })
    }

    /// All issues and pull requests, oldest first.
    pub fn issues(&self) -> Vec<Value> {
        self.with(|repository| repository.issues.list.clone())
    }

    /// Opens a pull request: its number.
    pub fn pull_request(&self, title: &str) -> u64 {
        self.with(|repository| repository.add_pull_request(title))
    }

    /// All comments on issues and pull requests, oldest first.
    pub fn comments(&self) -> Vec<Value> {
        self.with(|repository| repository.issues.comments.clone())
    }

    /// Makes an environment without rules, if it does not exist.
    pub fn environment(&self, name: &str) {
        self.with(|repository| {
            repository.environment(name);
        });
    }

    /// Gives a person access: `admin`, `write`, `read`, or `none` for a person of GitHub's who has none.
    pub fn person(&self, login: &str, permission: &str) {
        self.with(|repository| {
            let id = repository.next_id();
            repository.people.users.insert(login.to_owned(), (id, permission.to_owned()));
        });
    }

    /// Gives a team access.
    pub fn team(&self, slug: &str) {
        self.with(|repository| {
            let id = repository.next_id();
            repository.people.teams.insert(slug.to_owned(), id);
        });
    }

    /// Takes away a feature that is not offered everywhere.
    pub fn lacks(&self, feature: Feature) {
        self.with(|repository| repository.lacks.insert(feature));
    }

    /// The names and the opened values of an environment's secrets, or of the repository's.
    pub fn secrets(&self, environment: Option<&str>) -> BTreeMap<String, String> {
        self.with_secrets(environment, |secrets| secrets.opened())
    }

    /// Sets a secret as a person does it on the page, last changed at a time (RFC 3339).
    pub fn set_secret(&self, environment: Option<&str>, name: &str, value: &str, updated: &str) {
        self.with_secrets(environment, |secrets| {
            secrets.set(name, value);
            secrets.date(name, updated);
        });
    }

    /// The names and values of an environment's variables, or of the repository's.
    pub fn variables(&self, environment: Option<&str>) -> BTreeMap<String, String> {
        self.with(|repository| {
            let variables = match environment {
                None => &repository.variables,
                Some(name) => &repository.environment(name).variables,
            };
            let text = |variable: &Value| variable["value"].as_str().unwrap_or_default().to_owned();
            variables.iter().map(|(name, variable)| (name.clone(), text(variable))).collect()
        })
    }

    /// Adds an attestation: a Sigstore bundle about the digests that its statement names.
    pub fn attest(&self, bundle: &Value) {
        self.with(|repository| repository.attestations.add(bundle)).expect("the bundle has a statement with a subject");
    }

    /// What happened, oldest first.
    pub fn events(&self) -> Vec<Event> {
        self.with(|repository| repository.events.clone())
    }

    fn with_secrets<T>(&self, environment: Option<&str>, does: impl FnOnce(&mut Secrets) -> T) -> T {
        self.with(|repository| match environment {
            None => does(&mut repository.secrets),
            Some(name) => does(&mut repository.environment(name).secrets),
        })
    }

    pub(super) fn with<T>(&self, does: impl FnOnce(&mut Repository) -> T) -> T {
        self.inner.with(&self.key, does)
    }
}
