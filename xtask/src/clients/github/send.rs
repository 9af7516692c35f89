//! One request and its answer.

use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Bytes};
use jiff::Timestamp;
use octocrab::OctoBody;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{GitHub, GitHubError, misread};
use crate::clients::registry::http::printable;

/// The largest answer, in bytes.
const MAX_ANSWER: usize = 16 << 20;
/// The longest that the toolkit waits because GitHub asks for it.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A request that failed, once.
pub(super) struct Failed {
    pub error: GitHubError,
    /// How long GitHub asks to wait before the next request.
    wait: Option<Duration>,
    is_transient: bool,
}

impl Failed {
    /// Whether another attempt may succeed, and after what pause.
    pub fn passes(&self) -> Option<Option<Duration>> {
        let is_soon = self.wait.is_none_or(|wait| wait <= LONGEST_WAIT);
        (self.is_transient && is_soon).then_some(self.wait)
    }

    fn lasting(error: GitHubError) -> Self {
        Self { error, wait: None, is_transient: false }
    }
}

type Result<T> = std::result::Result<T, Failed>;

impl GitHub {
    /// Sends a request to a path of the repository, once.
    pub(super) async fn once<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        body: Option<&impl Serialize>,
        what: &str,
    ) -> Result<T> {
        let uri = format!("/repos/{}{path}", self.repository);
        let request = http::Request::builder().method(method.clone()).uri(uri);
        let request = self.crab.build_request(request, body).map_err(|error| Failed::lasting(other(what, &error)))?;
        let (head, bytes) = self.exchange(request, what).await?;
        // 303 leads to what is there already. The others say that the repository is elsewhere, and nothing was done.
        if head.status.is_redirection() && head.status != StatusCode::SEE_OTHER {
            let (what, response) = (what.to_owned(), head.status.to_string());
            return Err(Failed::lasting(GitHubError::Moved { what, response }));
        }
        // No answer is the answer to a deletion.
        let bytes: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
        serde_json::from_slice(bytes).map_err(|error| Failed::lasting(misread(what, &error)))
    }

    /// Sends a request, and reads its answer. A redirect is an answer.
    pub(super) async fn exchange(
        &self,
        request: http::Request<OctoBody>,
        what: &str,
    ) -> Result<(http::response::Parts, Vec<u8>)> {
        let response = self.crab.execute(request).await.map_err(|error| unreachable(what, &error))?;
        answer(response, what).await
    }

    /// Sends a question to the GraphQL API, once. It is beside the REST API, which an enterprise's server has in `/api/v3`.
    pub(super) async fn ask<T: DeserializeOwned>(&self, query: &str, what: &str) -> Result<T> {
        let rest = self.api.as_str().trim_end_matches('/');
        let url = format!("{}/graphql", rest.strip_suffix("/v3").unwrap_or(rest));
        let request = self
            .files
            .post(url)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(serde_json::json!({ "query": query }).to_string());
        let response = request.send().await.map_err(|error| unreachable(what, &error.without_url()))?;
        let (_, bytes) = answer(http::Response::<reqwest::Body>::from(response), what).await?;
        serde_json::from_slice(&bytes).map_err(|error| Failed::lasting(misread(what, &error)))
    }

    /// Sends a file to GitHub's host for them, once.
    pub(super) async fn send_file(&self, url: &str, media_type: &str, bytes: &[u8], what: &str) -> Result<()> {
        let request = self
            .files
            .post(url)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(ACCEPT, "application/vnd.github+json")
            .header(CONTENT_TYPE, media_type)
            .body(bytes.to_vec());
        let response = request.send().await.map_err(|error| unreachable(what, &error.without_url()))?;
        answer(http::Response::<reqwest::Body>::from(response), what).await.map(drop)
    }
}

/// The whole answer, if it is none of a failure.
async fn answer<B>(response: http::Response<B>, what: &str) -> Result<(http::response::Parts, Vec<u8>)>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await;
    let body = body.map_err(|error| unreachable(what, error.as_ref()))?.to_bytes();
    match head.status.is_success() || head.status.is_redirection() {
        true => Ok((head, body.to_vec())),
        false => Err(failed(&head, &body, what)),
    }
}

/// What an answer that is no success says.
fn failed(head: &http::response::Parts, body: &[u8], what: &str) -> Failed {
    #[derive(serde::Deserialize)]
    struct Answer {
        message: String,
        #[serde(default)]
        errors: Vec<serde_json::Value>,
    }
    let answer = serde_json::from_slice::<Answer>(body);
    let (message, errors) = answer.map(|answer| (answer.message, answer.errors)).unwrap_or_default();
    let details = errors.iter().filter_map(|error| {
        let text = error.as_str().or_else(|| error["message"].as_str());
        text.map(str::to_owned).or_else(|| Some(format!("{} {}", error["field"].as_str()?, error["code"].as_str()?)))
    });
    let texts: Vec<String> = std::iter::once(message).filter(|text| !text.is_empty()).chain(details).collect();
    let response = match texts.is_empty() {
        true => head.status.to_string(),
        false => format!("{} ({})", head.status, printable(&texts.join("; "))),
    };
    let what = what.to_owned();
    let is_limited = head.headers.get("x-ratelimit-remaining").is_some_and(|left| left == "0");
    let wait = number(head, "retry-after").or_else(|| {
        let reset = is_limited.then(|| number(head, "x-ratelimit-reset"))??;
        Some(reset.saturating_sub(u64::try_from(Timestamp::now().as_second()).unwrap_or_default()).max(1))
    });
    let wait = wait.map(Duration::from_secs);
    let already = |error: &serde_json::Value| error["code"] == "already_exists";
    match head.status {
        StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS if is_limited || wait.is_some() => {
            let until = wait.map_or_else(|| "now".to_owned(), |wait| format!("for {} s", wait.as_secs()));
            Failed { error: GitHubError::Limited { what, response, until }, wait, is_transient: true }
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failed::lasting(GitHubError::Denied { what, response }),
        StatusCode::NOT_FOUND => Failed::lasting(GitHubError::NotFound { what }),
        StatusCode::UNPROCESSABLE_ENTITY if errors.iter().any(already) => {
            Failed::lasting(GitHubError::Exists { what, response })
        }
        StatusCode::UNPROCESSABLE_ENTITY => Failed::lasting(GitHubError::Unprocessable { what, response }),
        status => {
            let is_transient = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            let why = format!("the answer was {response}");
            Failed { error: GitHubError::Other { what, why }, wait, is_transient }
        }
    }
}

fn number(head: &http::response::Parts, name: &str) -> Option<u64> {
    head.headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// The innermost cause alone: the others only name layers of the client.
fn unreachable(what: &str, error: &(dyn std::error::Error + 'static)) -> Failed {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let (what, why) = (what.to_owned(), printable(&innermost.to_string()));
    Failed { error: GitHubError::Unreachable { what, why }, wait: None, is_transient: true }
}

pub(super) fn other(what: &str, error: &dyn std::error::Error) -> GitHubError {
    GitHubError::Other { what: what.to_owned(), why: error.to_string() }
}
