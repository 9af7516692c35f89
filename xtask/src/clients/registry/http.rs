//! Requests to a registry and to its token server: retried, bounded, and never with credentials where they do not belong.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url};

use super::error::RegistryError;

/// A registry that does not accept a connection by then is not there.
const CONNECT_TAKES: Duration = Duration::from_secs(5);
/// A request and its answer; none of them is large.
const ONE_REQUEST: Duration = Duration::from_secs(30);
/// Waits before the second, third and fourth attempt.
const PAUSES: [Duration; 3] = [Duration::from_millis(200), Duration::from_millis(600), Duration::from_millis(1800)];
/// However long a server asks to be left alone.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Registries send to their storage by one redirect.
const REDIRECTS: usize = 5;

/// A client for one registry.
pub struct Http {
    client: reqwest::Client,
}

/// One request.
#[derive(Clone)]
pub struct Ask {
    pub method: Method,
    pub url: Url,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub authorization: Option<HeaderValue>,
    pub body: Vec<u8>,
    /// How many bytes an answer may have.
    pub longest: usize,
    /// Whether a redirect is followed; only reading requests may be.
    pub follow: bool,
}

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// Who answered, behind all redirects.
    pub url: Url,
}

impl Ask {
    /// A request with nothing but its method and address, of which a small answer is expected.
    pub fn new(method: Method, url: Url) -> Self {
        let follow = method == Method::GET || method == Method::HEAD;
        Self { method, url, headers: Vec::new(), authorization: None, body: Vec::new(), longest: 1 << 20, follow }
    }
}

impl Answer {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The media type without its parameters.
    pub fn media_type(&self) -> &str {
        self.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim()
    }

    /// What a failed request says, in one line: the registry's own words, or the status.
    pub fn words(&self) -> String {
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
        let said: Vec<String> =
            errors.iter().map(|error| printable(&format!("{}: {}", error.code, error.message))).collect();
        if said.is_empty() { self.status.to_string() } else { format!("{} ({})", self.status, said.join("; ")) }
    }
}

impl Http {
    /// A client for a registry on this machine or elsewhere. A proxy of the environment is used for the latter only.
    pub fn new(local: bool) -> Result<Self, RegistryError> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("xtask/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TAKES)
            .timeout(ONE_REQUEST);
        if local {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| RegistryError::Other {
            registry: "registry".to_owned(),
            what: "setting up the client".to_owned(),
            why: causes(&error),
        })?;
        Ok(Self { client })
    }

    /// Asks until there is an answer that repeating would not change, a few times at most. Follows redirects; a request's
    /// authorization ends where another host begins.
    pub async fn send(&self, ask: Ask) -> Result<Answer, RegistryError> {
        let mut ask = ask;
        for _ in 0..=REDIRECTS {
            let answer = self.insist(&ask).await?;
            let Some(next) = answer.status.is_redirection().then(|| answer.header(LOCATION.as_str())).flatten() else {
                return Ok(answer);
            };
            let refused = |why: String| RegistryError::NotARegistry { registry: host(&ask.url), why };
            if !ask.follow {
                return Err(refused(format!("it sends a {} elsewhere ({})", ask.method, answer.status)));
            }
            let next = ask.url.join(next).map_err(|_| refused("it redirects to what is no address".to_owned()))?;
            if !may_follow(&ask.url, &next) {
                return Err(refused(format!("it redirects to {}, which is less safe", printable(&origin(&next)))));
            }
            if next.origin() != ask.url.origin() {
                ask.authorization = None;
            }
            ask.url = next;
        }
        Err(RegistryError::NotARegistry { registry: host(&ask.url), why: "it redirects without an end".to_owned() })
    }

    async fn insist(&self, ask: &Ask) -> Result<Answer, RegistryError> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let outcome = self.once(ask).await;
            let passing = match &outcome {
                Ok(answer) => answer.status == StatusCode::TOO_MANY_REQUESTS || answer.status.is_server_error(),
                Err(Trouble::Connection(_)) => true,
                Err(Trouble::Final(_)) => false,
            };
            match pauses.next().filter(|_| passing) {
                Some(pause) => {
                    tokio::time::sleep(outcome.as_ref().map_or(pause, |answer| asked_pause(answer, pause))).await
                }
                None => return outcome.map_err(|trouble| trouble.into_error(&ask.url)),
            }
        }
    }

    async fn once(&self, ask: &Ask) -> Result<Answer, Trouble> {
        let mut request = self.client.request(ask.method.clone(), ask.url.clone()).body(ask.body.clone());
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        if let Some(authorization) = &ask.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let mut response = request.send().await.map_err(Trouble::of)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(Trouble::of)? {
            if body.len() + chunk.len() > ask.longest {
                let why = format!("its answer has more than {} KiB", ask.longest / 1024);
                return Err(Trouble::Final(RegistryError::NotARegistry { registry: host(&ask.url), why }));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body, url: ask.url.clone() })
    }
}

/// Whether two addresses are of the same server.
pub fn same_server(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

/// Host and port of an address, for people.
pub fn host(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    printable(&format!("{}{port}", url.host_str().unwrap_or("?")))
}

/// Whether an address is of this machine.
pub fn is_loopback(url: &Url) -> bool {
    matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

/// What a server says, fit for a terminal: its start, without control characters.
pub fn printable(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect();
    text.trim().trim_end_matches(':').to_owned()
}

enum Trouble {
    Connection(String),
    Final(RegistryError),
}

impl Trouble {
    fn of(error: reqwest::Error) -> Self {
        // A request that took all its time is not asked again: four times as long would look like a hang.
        if error.is_timeout() && !error.is_connect() {
            let registry = error.url().map(host).unwrap_or_default();
            let why = format!("no whole answer in {} s", ONE_REQUEST.as_secs());
            return Self::Final(RegistryError::Unreachable { registry, why });
        }
        Self::Connection(causes(&error.without_url()))
    }

    fn into_error(self, url: &Url) -> RegistryError {
        match self {
            Self::Connection(why) => RegistryError::Unreachable { registry: host(url), why },
            Self::Final(error) => error,
        }
    }
}

/// Only TLS is as safe as TLS, and this machine is not for others to point at.
fn may_follow(from: &Url, to: &Url) -> bool {
    to.scheme() == "https" || (to.scheme() == "http" && from.scheme() == "http" && is_loopback(from) && is_loopback(to))
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn asked_pause(answer: &Answer, pause: Duration) -> Duration {
    let seconds = answer.header(RETRY_AFTER.as_str()).and_then(|text| text.trim().parse().ok());
    seconds.map_or(pause, |seconds| Duration::from_secs(seconds).min(LONGEST_PAUSE))
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
