//! Calls that fail because a test wants it.

use std::time::Duration;

use super::answer::Answer;
use super::description::Operation;
use crate::http::Response;

/// How a call fails.
#[derive(Clone, Debug)]
pub enum Fault {
    /// No answer ever; nothing has changed.
    TimeOut,
    /// This status code without a description that the client could use; nothing has changed.
    Status(u16),
    /// The token has no request left for so long.
    RateLimit(Duration),
    /// Too many requests at a time: the client is to wait for so long.
    SecondaryRateLimit(Duration),
    /// A 422 with this message; nothing has changed.
    Unprocessable(String),
    /// The connection ends before the request was taken.
    CutBefore,
    /// The connection ends after the request was taken: the change is made, and the client does not know it.
    CutAfter,
    /// The request is taken, and the answer is this status code.
    StatusAfter(u16),
    /// An upload that breaks off: the answer is a 502, and GitHub keeps an asset of this name that is not complete.
    HalfUpload,
}

/// A fault that has yet to happen.
#[derive(Debug)]
pub(super) struct Planned {
    /// `POST /releases`; `*` is every operation.
    pub operation: String,
    /// So many calls before it succeed.
    pub after: usize,
    pub fault: Fault,
}

/// The fault of this call, if a test wants one.
pub(super) fn take(planned: &mut Vec<Planned>, operation: &Operation) -> Option<Fault> {
    let name = name(&operation.method, operation.template);
    let index = planned.iter().position(|planned| planned.operation == name || planned.operation == "*")?;
    if planned[index].after > 0 {
        planned[index].after -= 1;
        return None;
    }
    Some(planned.remove(index).fault)
}

/// The names of all operations.
pub(super) fn names() -> impl Iterator<Item = String> {
    Operation::all().map(|(method, template)| name(method, template))
}

/// An operation's name: `POST /releases`.
pub(super) fn name(method: &str, template: &str) -> String {
    format!("{method} {}", template.strip_prefix("/repos/{owner}/{repo}").unwrap_or(template))
}

impl Fault {
    /// Whether the request is taken all the same.
    pub fn is_after(&self) -> bool {
        matches!(self, Self::CutAfter | Self::StatusAfter(_) | Self::HalfUpload)
    }

    /// What the client gets.
    pub fn response(&self, now: i64) -> Response {
        match self {
            Self::TimeOut => Response::silent(),
            Self::CutBefore | Self::CutAfter => Response::cut(),
            Self::Status(status) | Self::StatusAfter(status) => failed(*status),
            Self::HalfUpload => failed(502),
            Self::Unprocessable(message) => json(&Answer::error(422, message)),
            Self::RateLimit(wait) => {
                let reset = now + i64::try_from(wait.as_secs()).expect("a wait is short");
                json(&Answer::error(403, "API rate limit exceeded for installation ID 1."))
                    .header("x-ratelimit-limit", "5000")
                    .header("x-ratelimit-remaining", "0")
                    .header("x-ratelimit-used", "5000")
                    .header("x-ratelimit-reset", &reset.to_string())
                    .header("x-ratelimit-resource", "core")
            }
            Self::SecondaryRateLimit(wait) => {
                let message =
                    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
                json(&Answer::error(403, message)).header("retry-after", &wait.as_secs().to_string())
            }
        }
    }
}

fn failed(status: u16) -> Response {
    Response::new(status).body("text/html", "<html><body><h1>Whoa there!</h1></body></html>")
}

fn json(answer: &Answer) -> Response {
    let body = answer.body.as_ref().map(ToString::to_string).unwrap_or_default();
    Response::new(answer.status).body("application/json; charset=utf-8", body)
}
