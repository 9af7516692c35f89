//! Who asks, what they may do, and how often.

use std::collections::BTreeMap;

use super::answer::Answer;

/// Whose token it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `GITHUB_TOKEN` of a workflow's job: the events that it makes start no workflow, with two exceptions.
    Workflow,
    /// An app's installation: it starts workflows.
    App,
    /// A person's.
    Person,
}

/// What a token may do in an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Read,
    Write,
}

/// A token that a test has made.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub kind: Kind,
    permissions: BTreeMap<String, Level>,
    limit: u32,
    remaining: u32,
    /// Seconds since 1970.
    reset: i64,
}

/// Areas that no workflow's own token has.
const PERSONS_ONLY: [&str; 4] = ["administration", "environments", "secrets", "actions_variables"];

impl Token {
    /// One with permissions as `contents:write`. GitHub has none of [`PERSONS_ONLY`] for a workflow's token.
    pub fn new(kind: Kind, permissions: &[&str]) -> Self {
        let permission = |text: &&str| {
            let (area, level) = text.split_once(':').expect("a permission is AREA:LEVEL");
            assert!(
                kind == Kind::Person || !PERSONS_ONLY.contains(&area),
                "a workflow's token has no permission {area}"
            );
            let level = match level {
                "read" => Level::Read,
                "write" => Level::Write,
                other => panic!("{other} is no level of a permission"),
            };
            (area.to_owned(), level)
        };
        let limit = if kind == Kind::Workflow { 1000 } else { 5000 };
        let reset = jiff::Timestamp::now().as_second() + 3600;
        Self { kind, permissions: permissions.iter().map(permission).collect(), limit, remaining: limit, reset }
    }

    /// Makes it the token of a person that has asked so often that this is what remains.
    pub fn limit(&mut self, remaining: u32, reset: i64) {
        (self.remaining, self.reset) = (remaining, reset);
    }

    /// Its name as GitHub shows it.
    pub fn login(&self) -> (&'static str, u64) {
        login(self.kind)
    }

    /// Counts a request.
    pub fn count(&mut self, now: i64) -> Result<(), Answer> {
        if now >= self.reset {
            (self.remaining, self.reset) = (self.limit, now + 3600);
        }
        match self.remaining.checked_sub(1) {
            Some(remaining) => {
                self.remaining = remaining;
                Ok(())
            }
            None => Err(Answer::error(403, "API rate limit exceeded for installation ID 1.")),
        }
    }

    /// The headers that tell it.
    pub fn headers(&self) -> Vec<(String, String)> {
        let header = |name: &str, value: String| (format!("x-ratelimit-{name}"), value);
        vec![
            header("limit", self.limit.to_string()),
            header("remaining", self.remaining.to_string()),
            header("used", (self.limit - self.remaining.min(self.limit)).to_string()),
            header("reset", self.reset.to_string()),
            header("resource", "core".to_owned()),
        ]
    }

    /// Refuses an operation that needs one of these permissions if the token has none of them.
    pub fn may(&self, wanted: impl Iterator<Item = (&'static str, Level)>) -> Result<(), Answer> {
        let wanted: Vec<_> = wanted.collect();
        let has = |area: &str| self.permissions.get(area).or_else(|| self.permissions.get("all"));
        let may = |&(area, level): &(&str, Level)| area == "metadata" || has(area).is_some_and(|&has| has >= level);
        if wanted.iter().any(may) {
            return Ok(());
        }
        let name =
            |(area, level): &(&str, Level)| format!("{area}={}", if *level == Level::Read { "read" } else { "write" });
        let accepted: Vec<String> = wanted.iter().map(name).collect();
        let message = match self.kind {
            Kind::Workflow | Kind::App => "Resource not accessible by integration",
            Kind::Person => "Resource not accessible by personal access token",
        };
        Err(Answer::error(403, message).header("x-accepted-github-permissions", &accepted.join("; ")))
    }

    /// Limit, use and rest as `GET /rate_limit` shows them.
    pub fn rate(&self) -> serde_json::Value {
        let used = self.limit - self.remaining.min(self.limit);
        serde_json::json!({"limit": self.limit, "used": used, "remaining": self.remaining, "reset": self.reset})
    }
}

/// The name and the id that GitHub shows for the owner of such a token.
pub(super) fn login(kind: Kind) -> (&'static str, u64) {
    match kind {
        Kind::Workflow => ("github-actions[bot]", 41_898_282),
        Kind::App => ("releaser[bot]", 41_898_999),
        Kind::Person => ("deployer", 583_231),
    }
}
