//! A client of the stand-in, which knows its one repository.

use devservers::GitHub;
use devservers::github::Handle;
use devservers::http::{Answer, ask};
use serde_json::Value;

/// A GitHub with one repository, and a token that asks it.
pub struct Client {
    pub github: GitHub,
    pub repository: Handle,
    pub token: String,
}

impl Client {
    pub fn new() -> Self {
        let github = GitHub::start();
        let (repository, token) = (github.repository("acme", "shop"), github.owner_token());
        Self { github, repository, token }
    }

    pub fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.try_send(method, path, body).unwrap()
    }

    pub fn try_send(&self, method: &str, path: &str, body: &Value) -> std::io::Result<Answer> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let path = if path.starts_with("//") { path[1..].to_owned() } else { format!("/repos/acme/shop{path}") };
        let token = format!("Bearer {}", self.token);
        ask(&self.github.url(), method, &path, &[("Authorization", &token), ("User-Agent", "test")], body)
    }

    /// Sends what has to succeed: the body.
    pub fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.send(method, path, &body);
        assert!(answer.status < 300, "{method} {path}: {} {}", answer.status, answer.text());
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    pub fn get(&self, path: &str) -> Value {
        self.ok("GET", path, Value::Null)
    }

    /// Sends what has to be refused with this status: the body.
    pub fn refused(&self, status: u16, method: &str, path: &str, body: Value) -> Value {
        let answer = self.send(method, path, &body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }
}
