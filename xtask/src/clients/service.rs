//! The readiness endpoint of the deployed service: `GET` answers 200 or 503 and JSON with `status` (`ready` or
//! `unready`), `version`, and optionally `checks` and `features`. A success with [`VERSION`] in its head is enough.

mod handshake;
mod network;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use reqwest::StatusCode;
use serde::Deserialize;

pub use self::handshake::Handshake;
pub use self::network::Network;
use crate::secrets::shortened;

/// The header of an answer that names the version of what answered. The relay of a local target sets it, and a service may. A
/// success with it is a ready service, unless the body says otherwise: such a service need not know its version, nor answer JSON.
pub const VERSION: &str = "x-service-version";

/// Limit for one request.
const ONE_QUESTION: Duration = Duration::from_secs(5);

/// In bytes. A longer answer is not a readiness answer.
const LONGEST_ANSWER: usize = 64 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The status code and the body both say that the service is ready.
    Ready(Readiness),
    /// A readiness answer that says why the service is not ready.
    Unready(String),
    /// Not a readiness answer.
    NotUnderstood {
        /// Whether its status code says success.
        success: bool,
        /// Its status code and first characters.
        what: String,
    },
    /// A server is there, and the TLS handshake with it failed.
    NoHandshake(Handshake),
    /// No answer, for this reason.
    Unreachable(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Readiness {
    status: String,
    /// The version of the process that answered.
    pub version: String,
    #[serde(default)]
    checks: Vec<Check>,
    #[serde(default)]
    features: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Check {
    name: String,
    status: String,
    detail: Option<String>,
}

impl Readiness {
    /// The features that are off, each with the reason.
    pub fn features_off(&self) -> Vec<(String, String)> {
        let off = |(name, state): (&String, &String)| {
            let why = state.strip_prefix("off")?;
            Some((name.clone(), why.trim_start_matches(':').trim().to_owned()))
        };
        self.features.iter().filter_map(off).collect()
    }

    fn what_is_wrong(&self) -> String {
        let mut text = format!("version {} says {}", self.version, self.status);
        for check in self.checks.iter().filter(|check| check.status != "ok") {
            let detail = check.detail.as_deref().unwrap_or(&check.status);
            write!(text, "; {}: {detail}", check.name).expect("writing to a String cannot fail");
        }
        text
    }
}

/// A client of one service's readiness endpoint.
#[derive(Clone)]
pub struct Service {
    client: reqwest::Client,
    url: String,
}

impl Service {
    /// The service that listens on this address of this machine; `readiness` is the endpoint's path. One that listens on every
    /// address is asked on the loopback address.
    pub fn at(address: SocketAddr, readiness: &str) -> Result<Self> {
        let ip = match address.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        Self::new(format!("http://{}{readiness}", SocketAddr::new(ip, address.port())))
    }

    /// `url` is the readiness endpoint.
    pub fn new(url: String) -> Result<Self> {
        Self::through(url, Network::default())
    }

    /// The same, reached as the network says.
    pub fn through(url: String, network: Network) -> Result<Self> {
        // A proxy between the gate and the service would answer in the service's place, and a kept connection would ask
        // only the version that it was opened to.
        // A redirect would let the service have something else answer for it.
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .timeout(ONE_QUESTION)
            .redirect(reqwest::redirect::Policy::none());
        if url.starts_with("http://") {
            // Reading the system's certificates takes longer than the request.
            builder = builder.tls_certs_only([]);
        } else if !network.authorities.is_empty() {
            builder = builder.tls_certs_merge(network.authorities);
        }
        if let Some(resolver) = network.resolver {
            builder = builder.dns_resolver(resolver);
        }
        let client = builder.build().context("set up the client for the readiness check")?;
        Ok(Self { client, url })
    }

    /// The address that it asks.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends one request. Never fails: a missing answer is [`Answer::Unreachable`].
    pub async fn ask(&self) -> Answer {
        let (status, named, body) = match self.get().await {
            Ok(answer) => answer,
            Err(answer) => return answer,
        };
        let parsed = serde_json::from_slice::<Readiness>(&body);
        if let Some(version) = named.filter(|_| status.is_success())
            && !matches!(&parsed, Ok(readiness) if readiness.status == "unready")
        {
            let (checks, features) = parsed.map(|parsed| (parsed.checks, parsed.features)).unwrap_or_default();
            return Answer::Ready(Readiness { status: "ready".to_owned(), version, checks, features });
        }
        match parsed {
            Ok(readiness) if status.is_success() && readiness.status == "ready" => Answer::Ready(readiness),
            Ok(readiness) if readiness.status == "ready" => {
                Answer::Unready(format!("{}, with status code {}", readiness.what_is_wrong(), status.as_u16()))
            }
            Ok(readiness) => Answer::Unready(readiness.what_is_wrong()),
            Err(error) => {
                let text = String::from_utf8_lossy(&body);
                let start = shortened(&text, 200);
                let what = format!("{} answered {status} without readiness JSON ({error}): {start:?}", self.url);
                Answer::NotUnderstood { success: status.is_success(), what }
            }
        }
    }

    /// The `is_open` of another endpoint's JSON answer.
    pub async fn is_open(&self) -> Result<bool> {
        #[derive(Deserialize)]
        struct Page {
            is_open: bool,
        }
        let (status, _, body) =
            self.get().await.map_err(|answer| anyhow!("{} gave {}", self.url, answer.describe()))?;
        ensure!(status.is_success(), "{} answered {status}", self.url);
        let page: Page =
            serde_json::from_slice(&body).with_context(|| format!("{} answered no `is_open`", self.url))?;
        Ok(page.is_open)
    }

    /// The status code, the version that the answer names, and the body.
    async fn get(&self) -> Result<(StatusCode, Option<String>, Vec<u8>), Answer> {
        let mut response = self.client.get(&self.url).send().await.map_err(|error| match Handshake::of(&error) {
            Some(why) => Answer::NoHandshake(why),
            None => Answer::Unreachable(innermost(&error)),
        })?;
        let status = response.status();
        let version = response.headers().get(VERSION).and_then(|version| Some(version.to_str().ok()?.to_owned()));
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= LONGEST_ANSWER => body.extend_from_slice(&chunk),
                Ok(Some(_)) => {
                    let what = format!("{} answered more than 64 KiB", self.url);
                    return Err(Answer::NotUnderstood { success: status.is_success(), what });
                }
                Ok(None) => return Ok((status, version, body)),
                Err(error) => return Err(Answer::Unreachable(innermost(&error))),
            }
        }
    }
}

impl Answer {
    /// Whether the service is ready and has this version.
    pub fn is_ready_as(&self, version: &str) -> bool {
        matches!(self, Self::Ready(readiness) if readiness.version == version)
    }

    /// Whether the status code says success. The body may be of any form.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Ready(_) | Self::NotUnderstood { success: true, .. })
    }

    /// One line for messages.
    pub fn describe(&self) -> String {
        match self {
            Self::Ready(readiness) => format!("version {} is ready", readiness.version),
            Self::Unready(why) | Self::NotUnderstood { what: why, .. } => why.clone(),
            Self::NoHandshake(why) => why.to_string(),
            Self::Unreachable(why) => format!("no answer: {why}"),
        }
    }

    /// What kind of answer it is: the same for two that tell of no movement between them.
    pub fn kind(&self) -> String {
        match self {
            Self::Ready(readiness) => format!("version {} is ready", readiness.version),
            Self::Unready(_) => "unready".to_owned(),
            Self::NotUnderstood { success, .. } => format!("not understood, success {success}"),
            Self::NoHandshake(why) => why.to_string(),
            Self::Unreachable(_) => "unreachable".to_owned(),
        }
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use devservers::raw::{RawServer, Then};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn answer_to(response: &'static str) -> Answer {
        drop(rustls::crypto::ring::default_provider().install_default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/ready", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(response.as_bytes()).await.unwrap();
        });
        let answer = Service::new(url).unwrap().ask().await;
        server.await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_ready_answer_has_the_version_and_the_features_that_are_off() {
        let body = r#"{"status":"ready","version":"abc","features":{"ocr":"off: no tesseract","video":"on"}}"#;
        let response: &'static str = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).leak();
        let Answer::Ready(readiness) = answer_to(response).await else { panic!("not ready") };
        assert_eq!(readiness.version, "abc");
        assert_eq!(readiness.features_off(), [("ocr".to_owned(), "no tesseract".to_owned())]);
    }

    #[tokio::test]
    async fn readiness_takes_both_the_status_code_and_the_body() {
        let unready = "HTTP/1.1 503 X\r\nconnection: close\r\n\r\n{\"status\":\"ready\",\"version\":\"a\"}";
        assert_eq!(answer_to(unready).await, Answer::Unready("version a says ready, with status code 503".to_owned()));
        let html = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n<html>welcome</html>";
        assert!(matches!(answer_to(html).await, Answer::NotUnderstood { success: true, .. }));
    }

    #[tokio::test]
    async fn a_success_that_names_its_version_in_its_head_is_ready_unless_the_body_says_otherwise() {
        let with = |status: &str, body: &str| {
            let head = format!("HTTP/1.1 {status}\r\nX-Service-Version: abc\r\nconnection: close\r\n\r\n{body}");
            answer_to(head.leak())
        };
        for body in ["", "ok", r#"{"status":"pass"}"#, r#"{"status":"ok","version":"1.0"}"#] {
            assert!(with("200 OK", body).await.is_ready_as("abc"), "{body}");
        }
        let unready = with("200 OK", r#"{"status":"unready","version":"abc"}"#).await;
        assert_eq!(unready, Answer::Unready("version abc says unready".to_owned()));
        assert!(matches!(with("503 X", "ok").await, Answer::NotUnderstood { success: false, .. }));
    }

    #[tokio::test]
    async fn a_redirect_to_a_server_that_is_ready_is_not_a_readiness_answer() {
        let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = other.local_addr().unwrap();
        let response = format!("HTTP/1.1 302 X\r\nlocation: http://{to}/\r\ncontent-length: 0\r\n\r\n");
        let answer = answer_to(response.leak()).await;
        assert!(matches!(&answer, Answer::NotUnderstood { what, .. } if what.contains("302")), "{answer:?}");
    }

    /// What comes of an answer that begins like this.
    async fn of_raw(first: impl Into<Vec<u8>>, then: Then) -> Answer {
        drop(rustls::crypto::ring::default_provider().install_default());
        let server = RawServer::start(first, then);
        Service::new(format!("http://{}/ready", server.address)).unwrap().ask().await
    }

    #[tokio::test]
    async fn an_answer_that_does_not_end_is_cut_off() {
        const OK: &str = "HTTP/1.1 200 OK\r\n";
        let ready = r#"{"status":"ready","version":"a"}"#;
        let deep = format!("{{\"status\":\"ready\",\"version\":\"a\",\"x\":{}", "[".repeat(60_000));
        let many = format!("{OK}{}", "x: y\r\n".repeat(100_000));
        let (body, head, slow, slow_head, silent, short, long, deep, many, loops) = tokio::join!(
            of_raw(format!("{OK}\r\n"), Then::Endless(b"x".repeat(64 << 10))),
            of_raw(OK, Then::Endless(b"a: b\r\n".repeat(1000))),
            of_raw(format!("{OK}\r\n"), Then::Slow(b" ".to_vec())),
            of_raw("HTTP/1.1 200 ", Then::Slow(b"O".to_vec())),
            of_raw("", Then::Silence),
            // It has more bytes than it says, and less.
            of_raw(format!("{OK}content-length: 3\r\n\r\n{ready}"), Then::Silence),
            of_raw(format!("{OK}content-length: 9000\r\n\r\n{ready}"), Then::Close),
            of_raw(format!("{OK}\r\n{deep}"), Then::Close),
            of_raw(many, Then::Silence),
            of_raw("HTTP/1.1 302 X\r\nlocation: file:///etc/passwd\r\ncontent-length: 0\r\n\r\n", Then::Close),
        );
        assert!(matches!(&body, Answer::NotUnderstood { what, .. } if what.contains("more than 64 KiB")), "{body:?}");
        for answer in [head, slow, slow_head, silent, long, many] {
            assert!(matches!(answer, Answer::Unreachable(_)), "{answer:?}");
        }
        for answer in [short, deep, loops] {
            assert!(matches!(answer, Answer::NotUnderstood { .. }), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn an_unready_answer_names_the_failed_checks() {
        let body = "HTTP/1.1 503 X\r\nconnection: close\r\n\r\n{\"status\":\"unready\",\"version\":\"a\",\"checks\":\
                    [{\"name\":\"database\",\"status\":\"failed\",\"detail\":\"refused\"},{\"name\":\"storage\",\"status\":\"ok\"}]}";
        let answer = answer_to(body).await;
        assert_eq!(answer, Answer::Unready("version a says unready; database: refused".to_owned()));
    }
}
