//! A stand-in of GitHub's REST API that keeps state. Each request is held against GitHub's own description of the API.

mod answer;
mod assets;
mod attestations;
mod call;
mod checks;
mod comments;
mod commits;
mod compare;
mod deployments;
mod description;
mod environments;
mod events;
mod faults;
mod handle;
mod issues;
mod jobs;
mod objects;
mod people;
mod plan;
mod refs;
mod releases;
mod repository;
mod route;
mod rules;
mod run;
mod secrets;
mod server;
mod settings;
mod tokens;
mod variables;
mod workflows;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

pub use self::events::Event;
pub use self::faults::Fault;
pub use self::handle::Handle;
pub use self::plan::Feature;
use self::repository::Repository;
use self::route::Urls;
pub use self::run::{Callback, Run};
use self::server::State;
pub use self::tokens::Kind;
use self::tokens::Token;
use crate::http::HttpServer;

/// A GitHub. It fails the test that drops it if a request did not fit GitHub's description.
pub struct GitHub {
    inner: Arc<Inner>,
}

/// What the servers, the runs and the test share.
struct Inner {
    state: Mutex<State>,
    /// Told at the end of each request and of each change by a run.
    changed: Condvar,
    urls: OnceLock<Urls>,
}

impl GitHub {
    /// Starts one without a repository.
    pub fn start() -> Self {
        let inner = Arc::new(Inner { state: Mutex::default(), changed: Condvar::new(), urls: OnceLock::new() });
        let (api, objects) = (Arc::clone(&inner), Arc::clone(&inner));
        let api = HttpServer::start(move |request| api.answer(request));
        let objects = HttpServer::start(move |request| objects.object(request));
        let url = |server: &HttpServer| format!("http://{}", server.address);
        // As at an enterprise's server: the same host, and a path of its own.
        let urls = Urls { api: url(&api), uploads: format!("{}/uploads", url(&api)), objects: url(&objects) };
        inner.urls.set(urls).expect("the addresses are set once");
        Self { inner }
    }

    /// The API's address.
    pub fn url(&self) -> String {
        self.inner.urls().api.clone()
    }

    /// A repository; it is made if it does not exist.
    pub fn repository(&self, owner: &str, name: &str) -> Handle {
        let key = (owner.to_owned(), name.to_owned());
        let mut state = self.inner.lock();
        let id = 1000 * (state.repositories.len() as u64 + 1);
        let urls = self.inner.urls().clone();
        state.repositories.entry(key.clone()).or_insert_with(|| Repository::new(owner, name, id, urls));
        drop(state);
        Handle { inner: Arc::clone(&self.inner), key }
    }

    /// A workflow's own token, with permissions as `contents:write`.
    pub fn workflow_token(&self, permissions: &[&str]) -> String {
        self.inner.lock().add_token("ghs", Token::new(Kind::Workflow, permissions))
    }

    /// The token of an app's installation, which begins as a job's, with permissions as `contents:write`.
    pub fn app_token(&self, permissions: &[&str]) -> String {
        self.inner.lock().add_token("ghs", Token::new(Kind::App, permissions))
    }

    /// A person's token, with permissions as `administration:write`.
    pub fn personal_token(&self, permissions: &[&str]) -> String {
        self.inner.lock().add_token("github_pat", Token::new(Kind::Person, permissions))
    }

    /// A person's token that may do all.
    pub fn owner_token(&self) -> String {
        self.inner.lock().add_token("ghp", Token::new(Kind::Person, &["all:write"]))
    }

    /// Leaves a token so many requests until it gets more in so long.
    pub fn limit(&self, token: &str, remaining: u32, wait: Duration) {
        let reset = jiff::Timestamp::now().as_second() + i64::try_from(wait.as_secs()).expect("a wait is short");
        let mut state = self.inner.lock();
        state.tokens.get_mut(token).expect("the token is one of this server").limit(remaining, reset);
    }

    /// Makes the next call of an operation fail: `POST /releases`, or `*` for any.
    pub fn fail(&self, operation: &str, fault: Fault) {
        self.fail_after(0, operation, fault);
    }

    /// Makes the call of an operation fail that comes after so many others of it.
    pub fn fail_after(&self, others: usize, operation: &str, fault: Fault) {
        self.inner.lock().plan(operation, others, fault);
    }

    /// Answers each request no sooner than after this time.
    pub fn delay(&self, delay: Duration) {
        self.inner.lock().delay = delay;
    }

    /// Answers no call of an operation, `GET /issues`, before so many were made.
    pub fn meet(&self, operation: &str, calls: usize) {
        assert!(faults::names().any(|name| name == operation), "there is no operation {operation}");
        self.inner.lock().meeting = Some((operation.to_owned(), calls));
    }

    /// Waits until a call has come that awaits the others of `meet`.
    pub fn wait_for_meeting(&self, awaited: usize) {
        let more = |state: &mut State| state.meeting.as_ref().is_some_and(|(_, left)| *left > awaited);
        let state = self.inner.lock();
        drop(self.inner.changed.wait_while(state, more).unwrap_or_else(PoisonError::into_inner));
    }

    /// The requests so far: `POST /repos/o/r/releases 201`. The status is 0 for one that got no answer.
    pub fn calls(&self) -> Vec<String> {
        self.inner.lock().calls.clone()
    }

    /// What did not fit GitHub's description of its API: requests, and answers of the stand-in.
    pub fn violations(&self) -> Vec<String> {
        self.inner.lock().violations.clone()
    }

    /// Takes them, for a test that makes some.
    pub fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.inner.lock().violations)
    }

    /// Waits until no run that does something is queued or in progress.
    pub fn wait_for_runs(&self) {
        let running = |state: &mut State| state.repositories.values().any(Repository::is_running);
        let state = self.inner.lock();
        drop(self.inner.changed.wait_while(state, |state| running(state)).unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for GitHub {
    fn drop(&mut self) {
        let violations = self.violations();
        assert!(violations.is_empty() || std::thread::panicking(), "requests do not fit GitHub's API: {violations:#?}");
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn urls(&self) -> &Urls {
        self.urls.get().expect("the addresses are set when the server has started")
    }

    /// Changes a repository, or reads it.
    fn with<T>(&self, key: &(String, String), does: impl FnOnce(&mut Repository) -> T) -> T {
        let mut state = self.lock();
        let value = does(state.repositories.get_mut(key).expect("the repository exists"));
        self.changed.notify_all();
        value
    }
}
