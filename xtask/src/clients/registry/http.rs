//! HTTP requests to a registry and its token server: with retries and size limits. Credentials never follow a redirect to another
//! host.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url};

use super::error::RegistryError;
use crate::clients::patience::Patience;
use crate::secrets::shortened;

/// The time limit of a connection attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The time limit of a request with its response; none of them is large.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How many times as long a request takes at most with all that it leads to.
const LONGEST: u32 = 4;
/// The longest Retry-After that is respected.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(10);
/// Registries redirect once, to their storage.
const MAX_REDIRECTS: usize = 5;
/// How many of a response's errors are shown.
const SHOWN_ERRORS: usize = 5;

/// A client for one registry.
pub struct Http {
    client: reqwest::Client,
    timeout: Duration,
    patience: Patience,
}

#[derive(Clone)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub authorization: Option<HeaderValue>,
    pub body: Vec<u8>,
    /// Limit of the response's body.
    pub max_bytes: usize,
    /// Whether redirects are followed: only those of reading requests.
    pub follow_redirects: bool,
    /// Whether it is sent again where it failed for a moment. Not what must not happen twice.
    pub retries: bool,
}

pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// After all redirects.
    pub url: Url,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: Method, url: Url) -> Self {
        let follow_redirects = method == Method::GET || method == Method::HEAD;
        Self {
            method,
            url,
            headers: Vec::new(),
            authorization: None,
            body: Vec::new(),
            max_bytes: 1 << 20,
            follow_redirects,
            retries: true,
        }
    }
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The media type without its parameters.
    pub fn media_type(&self) -> &str {
        self.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim()
    }

    /// Status and error messages of a failed request, on one line.
    pub fn error_text(&self) -> String {
        #[derive(serde::Deserialize)]
        struct Errors {
            errors: Vec<Error>,
        }
        #[derive(serde::Deserialize)]
        struct Error {
            code: String,
            #[serde(default)]
            message: String,
        }
        let errors = serde_json::from_slice::<Errors>(&self.body).map(|all| all.errors).unwrap_or_default();
        let messages: Vec<String> = errors
            .iter()
            .take(SHOWN_ERRORS)
            .map(|error| printable(&format!("{}: {}", error.code, error.message)))
            .collect();
        if messages.is_empty() { self.status.to_string() } else { format!("{} ({})", self.status, messages.join("; ")) }
    }
}

impl Http {
    /// `timeout` limits each request with its response. The environment's proxy is not used for a registry on this machine.
    pub fn new(local: bool, timeout: Duration) -> Result<Self, RegistryError> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("xtask/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout);
        if local {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| RegistryError::Other {
            registry: "registry".to_owned(),
            what: "setting up the HTTP client".to_owned(),
            why: causes(&error),
        })?;
        Ok(Self { client, timeout, patience: Patience::default() })
    }

    /// The same, with the patience of an environment.
    pub fn patient(self, patience: &Patience) -> Self {
        Self { patience: patience.clone(), ..self }
    }

    /// The time limit of a request with its retries, its redirects and the tokens that it takes. Each of them could take long.
    pub fn longest(&self) -> Duration {
        self.timeout * LONGEST
    }

    /// Sends a request, with retries and redirects. A redirect to another host loses the request's authorization.
    pub async fn send(&self, request: Request) -> Result<Response, RegistryError> {
        let mut request = request;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send_with_retries(&request).await?;
            let Some(next) = response.status.is_redirection().then(|| response.header(LOCATION.as_str())).flatten()
            else {
                return Ok(response);
            };
            let refused = |why: String| RegistryError::NotARegistry { registry: host(&request.url), why };
            if !request.follow_redirects {
                return Err(refused(format!("it redirects a {} elsewhere ({})", request.method, response.status)));
            }
            let next = request.url.join(next).map_err(|_| refused("it redirects to an invalid URL".to_owned()))?;
            if !may_follow(&request.url, &next) {
                return Err(refused(format!("it redirects to {}, which is less secure", printable(&origin(&next)))));
            }
            if next.origin() != request.url.origin() {
                request.authorization = None;
            }
            request.url = next;
        }
        Err(RegistryError::NotARegistry {
            registry: host(&request.url),
            why: format!("it redirects more than {MAX_REDIRECTS} times"),
        })
    }

    async fn send_with_retries(&self, request: &Request) -> Result<Response, RegistryError> {
        let mut attempts = self.patience.attempts(host(&request.url));
        loop {
            let outcome = self.send_once(request).await;
            let (is_transient, wanted) = match &outcome {
                Ok(response) => (is_busy(response.status), retry_after(response)),
                Err(SendError::Connection(_)) => (true, None),
                Err(SendError::Final(_)) => (false, None),
            };
            if !is_transient || !request.retries || !attempts.again(wanted).await {
                return outcome.map_err(|error| error.into_error(&request.url));
            }
        }
    }

    async fn send_once(&self, request: &Request) -> Result<Response, SendError> {
        let mut builder = self.client.request(request.method.clone(), request.url.clone()).body(request.body.clone());
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some(authorization) = &request.authorization {
            builder = builder.header(AUTHORIZATION, authorization);
        }
        let mut response = builder.send().await.map_err(|error| self.failed(error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if body.len() + chunk.len() > request.max_bytes {
                let why = format!("its response has more than {} KiB", request.max_bytes / 1024);
                return Err(SendError::Final(RegistryError::NotARegistry { registry: host(&request.url), why }));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status, headers, body, url: request.url.clone() })
    }

    fn failed(&self, error: reqwest::Error) -> SendError {
        // No retry: four time-outs in a row would look like a hang.
        if error.is_timeout() && !error.is_connect() {
            let registry = error.url().map(host).unwrap_or_default();
            let why = format!("no complete response within {:?}", self.timeout);
            return SendError::Final(RegistryError::Unreachable { registry, why });
        }
        SendError::Connection(causes(&error.without_url()))
    }
}

/// Whether two URLs have the same scheme, host and port.
pub fn same_server(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

/// Host and port of a URL.
pub fn host(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    printable(&format!("{}{port}", url.host_str().unwrap_or("?")))
}

/// Whether a URL's host is this machine.
pub fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(crate::config::is_loopback)
}

/// The start of a server's message, without control characters.
pub fn printable(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    shortened(text.trim().trim_end_matches(':'), 300)
}

enum SendError {
    Connection(String),
    Final(RegistryError),
}

impl SendError {
    fn into_error(self, url: &Url) -> RegistryError {
        match self {
            Self::Connection(why) => RegistryError::Unreachable { registry: host(url), why },
            Self::Final(error) => error,
        }
    }
}

/// From TLS only to TLS, and to this machine only from this machine.
fn may_follow(from: &Url, to: &Url) -> bool {
    to.scheme() == "https" || (to.scheme() == "http" && from.scheme() == "http" && is_loopback(from) && is_loopback(to))
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn is_busy(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.header(RETRY_AFTER.as_str())?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
