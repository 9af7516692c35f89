//! A collector of OpenTelemetry: spans by OTLP over HTTP, in its JSON encoding
//! (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>), which is stable.
//!
//! OpenTelemetry's own crates would be 14 more and 34 s of processor time in the first build, for this one request.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::config::is_loopback;

/// For the connection and the answer together.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A span.
pub struct Span {
    /// Its id: not all zero.
    pub id: [u8; 8],
    /// The id of the span that it is part of.
    pub parent: Option<[u8; 8]>,
    /// What is done in it.
    pub name: String,
    /// When it began.
    pub began: SystemTime,
    /// When it ended.
    pub ended: SystemTime,
    /// Names and texts.
    pub attributes: Vec<(String, String)>,
    /// What went wrong in it, if something did.
    pub error: Option<String>,
}

/// A collector.
pub struct Collector {
    url: Url,
    headers: HeaderMap,
}

impl Collector {
    /// `url` is the whole address for traces; `headers` have the form of `OTEL_EXPORTER_OTLP_HEADERS`: `name=value,…`, values
    /// percent-encoded. The errors show neither.
    pub fn new(url: &str, headers: &str) -> Result<Self> {
        let Ok(url) = url.parse::<Url>() else { bail!("its address is not a URL") };
        let mut map = HeaderMap::new();
        for pair in headers.split(',').filter(|pair| !pair.trim().is_empty()) {
            let (name, value) = pair.split_once('=').context("its headers are not name=value,…")?;
            let value = percent_decode_str(value.trim()).collect::<Vec<u8>>();
            let name =
                HeaderName::try_from(name.trim()).ok().context("its headers have a name that HTTP does not allow")?;
            let mut value =
                HeaderValue::from_bytes(&value).ok().context("its headers have a value that HTTP does not allow")?;
            value.set_sensitive(true);
            map.insert(name, value);
        }
        let host = url.host_str().unwrap_or_default();
        let is_safe = url.scheme() == "https" || is_loopback(host);
        ensure!(is_safe || map.is_empty(), "its address has no https, so the headers would be sent in the clear");
        Ok(Self { url, headers: map })
    }

    /// Its host: paths may be secret.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Sends the spans of one trace. The errors do not show the address.
    pub async fn export(&self, resource: &[(String, String)], trace: [u8; 16], spans: &[Span]) -> Result<()> {
        let mut builder = reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none());
        if self.url.scheme() == "http" {
            builder = builder.tls_certs_only([]);
        }
        if is_loopback(self.host()) {
            builder = builder.no_proxy();
        }
        let client = builder.build().context("set up the HTTP client")?;
        let body = body(resource, trace, spans);
        let request = client.post(self.url.clone()).headers(self.headers.clone()).json(&body);
        match request.send().await.map_err(reqwest::Error::without_url) {
            Err(error) if error.is_timeout() => bail!("no answer within {} s", TIMEOUT.as_secs()),
            Err(error) => Err(error.into()),
            Ok(answer) => {
                ensure!(answer.status().is_success(), "it answered {}", answer.status());
                Ok(())
            }
        }
    }
}

fn body(resource: &[(String, String)], trace: [u8; 16], spans: &[Span]) -> Value {
    let spans: Vec<Value> = spans.iter().map(|span| one(trace, span)).collect();
    let scope = json!({ "name": crate::PACKAGE, "version": env!("CARGO_PKG_VERSION") });
    json!({ "resourceSpans": [{
        "resource": { "attributes": attributes(resource) },
        "scopeSpans": [{ "scope": scope, "spans": spans }],
    }] })
}

fn one(trace: [u8; 16], span: &Span) -> Value {
    // 1 is `SPAN_KIND_INTERNAL`; 1 and 2 are `STATUS_CODE_OK` and `STATUS_CODE_ERROR`.
    let status = match &span.error {
        None => json!({ "code": 1 }),
        Some(error) => json!({ "code": 2, "message": error }),
    };
    json!({
        "traceId": hex::encode(trace),
        "spanId": hex::encode(span.id),
        "parentSpanId": span.parent.map(hex::encode).unwrap_or_default(),
        "name": span.name,
        "kind": 1,
        "startTimeUnixNano": nanoseconds(span.began),
        "endTimeUnixNano": nanoseconds(span.ended),
        "attributes": attributes(&span.attributes),
        "status": status,
    })
}

fn attributes(pairs: &[(String, String)]) -> Vec<Value> {
    pairs.iter().map(|(key, value)| json!({ "key": key, "value": { "stringValue": value } })).collect()
}

/// A 64-bit number is a text in JSON.
fn nanoseconds(time: SystemTime) -> String {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}
