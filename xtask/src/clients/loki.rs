//! The log of a service in Loki, by its HTTP API (`/loki/api/v1/query_range`), as Scaleway's Cockpit has it: the token is sent in the
//! header `X-Token`, and each line is a JSON object with the service's line as its `message`.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::registry::error::RegistryError;
use super::registry::http::{Http, REQUEST_TIMEOUT, Request, Response, host, is_loopback, printable};

/// The most lines of one answer: Loki's own limit, unless its operator has set another.
pub const MOST_LINES: usize = 5000;
/// The most bytes of one answer.
const MOST_BYTES: usize = 32 << 20;
/// Lines reach Loki late and not in their order. So each question goes back this far behind the newest line.
const LATE: SignedDuration = SignedDuration::from_secs(15);

type Result<T> = std::result::Result<T, RegistryError>;

/// One log: the streams that a query selects.
pub struct Loki {
    http: Http,
    url: Url,
    token: HeaderValue,
    query: String,
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// When it was logged.
    pub at: Timestamp,
    /// What the service wrote.
    pub text: String,
}

/// The lines that come, each once.
pub struct Following {
    from: Timestamp,
    /// How often each line since `from` was returned.
    shown: BTreeMap<Line, usize>,
}

impl Loki {
    /// `url` is that of the data source, without a path or with the one for pushing. The token requires TLS, except on this machine.
    pub fn new(url: &str, token: &SecretString, query: String) -> Result<Self> {
        let wrong = |why: &str| RegistryError::Other {
            registry: "Loki".to_owned(),
            what: format!("using {}", printable(url)),
            why: why.to_owned(),
        };
        let mut url = Url::parse(url).map_err(|_| wrong("it is not a URL"))?;
        if url.scheme() != "https" && !is_loopback(&url) {
            return Err(wrong("the token requires https"));
        }
        let base = url.path().split("/loki/").next().unwrap_or_default().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/loki/api/v1/query_range"));
        let token = HeaderValue::try_from(token.expose_secret());
        let mut token = token.map_err(|_| wrong("the token is not valid in a header"))?;
        token.set_sensitive(true);
        Ok(Self { http: Http::new(is_loopback(&url), REQUEST_TIMEOUT)?, url, token, query })
    }

    /// The last lines since a time, the newest last.
    pub async fn last(&self, since: Timestamp, count: usize) -> Result<Vec<Line>> {
        self.ask(since, count.min(MOST_LINES), "backward").await
    }

    /// The lines that came since the last call. Loki answers with a part of them where there are very many; then more come with the
    /// next call, and `true` is returned too.
    pub async fn more(&self, following: &mut Following) -> Result<(Vec<Line>, bool)> {
        let lines = self.ask(following.from, MOST_LINES, "forward").await?;
        let is_part = lines.len() >= MOST_LINES;
        Ok((following.new_ones(lines, is_part), is_part))
    }

    async fn ask(&self, since: Timestamp, limit: usize, direction: &str) -> Result<Vec<Line>> {
        let mut url = self.url.clone();
        url.query_pairs_mut()
            .append_pair("query", &self.query)
            .append_pair("start", &since.as_nanosecond().to_string())
            .append_pair("limit", &limit.to_string())
            .append_pair("direction", direction);
        let mut request = Request::new(Method::GET, url);
        request.headers.push((HeaderName::from_static("x-token"), self.token.clone()));
        // A redirect to another host would not remove the token's header.
        request.follow_redirects = false;
        request.max_bytes = MOST_BYTES;
        let response = self.http.send(request).await?;
        if !response.status.is_success() {
            return Err(self.failed(&response));
        }
        let answer: Answer = serde_json::from_slice(&response.body)
            .map_err(|error| self.error(format!("the response is not understood: {error}")))?;
        let values = answer.data.result.into_iter().flat_map(|stream| stream.values);
        let mut lines: Vec<Line> = values.filter_map(line).collect();
        lines.sort();
        Ok(lines)
    }

    fn failed(&self, response: &Response) -> RegistryError {
        let text = printable(&String::from_utf8_lossy(&response.body));
        let status = response.status;
        self.error(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                format!(
                    "the response was {status}: the token is unknown or may not query logs, or the URL is another project's\n  \
                     check COCKPIT_TOKEN and COCKPIT_LOGS_URL"
                )
            }
            _ => format!("the response was {status} ({text})"),
        })
    }

    fn error(&self, why: String) -> RegistryError {
        RegistryError::Other { registry: host(&self.url), what: "reading the log".to_owned(), why }
    }
}

impl Following {
    /// Everything after these lines, which were shown, or after `from` if there are none.
    pub fn after(lines: &[Line], from: Timestamp) -> Self {
        let mut following = Self { from, shown: BTreeMap::new() };
        following.new_ones(lines.to_vec(), false);
        following
    }

    /// Since when lines are asked for.
    pub fn from(&self) -> Timestamp {
        self.from
    }

    /// Those of the lines since `from` that were not returned yet. `is_part` says that later ones were left out.
    fn new_ones(&mut self, lines: Vec<Line>, is_part: bool) -> Vec<Line> {
        let Some(newest) = lines.last().map(|line| line.at) else { return lines };
        let (mut seen, mut new) = (BTreeMap::<Line, usize>::new(), Vec::new());
        for line in lines {
            let count = seen.entry(line.clone()).or_default();
            *count += 1;
            if *count > self.shown.get(&line).copied().unwrap_or_default() {
                new.push(line);
            }
        }
        for (line, count) in seen {
            let shown = self.shown.entry(line).or_default();
            *shown = count.max(*shown);
        }
        // Of more lines than one answer holds, those behind it come next; where all are of one moment, those of the next.
        let next = match is_part {
            true if newest == self.from => newest.checked_add(SignedDuration::from_nanos(1)).unwrap_or(newest),
            true => newest,
            false => newest.checked_sub(LATE).unwrap_or(newest),
        };
        self.from = self.from.max(next);
        self.shown.retain(|line, _| line.at >= self.from);
        new
    }
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Stream>,
}

#[derive(Deserialize)]
struct Stream {
    /// Nanoseconds, the line, and perhaps more.
    values: Vec<Vec<serde_json::Value>>,
}

fn line(value: Vec<serde_json::Value>) -> Option<Line> {
    /// As Cockpit stores the line of a container.
    #[derive(Deserialize)]
    struct Wrapped {
        message: String,
        #[serde(rename = "resource_instance")]
        _instance: String,
    }
    let at = Timestamp::from_nanosecond(value.first()?.as_str()?.parse().ok()?).ok()?;
    let text = value.get(1)?.as_str()?;
    let text = serde_json::from_str(text).map_or_else(|_| text.to_owned(), |Wrapped { message, .. }| message);
    Some(Line { at, text: text.trim_end().to_owned() })
}

/// A query for the log of a container at Scaleway, by its UUID.
pub fn of_container(id: &str) -> String {
    of_resource("serverless_container", id)
}

/// A query for the log of one run of a job at Scaleway, by the run's UUID.
pub fn of_job(id: &str) -> String {
    of_resource("serverless_job", id)
}

fn of_resource(kind: &str, id: &str) -> String {
    let id: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    format!(r#"{{resource_type="{kind}", resource_id="{id}"}}"#)
}

#[cfg(test)]
mod tests;
