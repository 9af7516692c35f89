//! Sends spans by OTLP over HTTP in its JSON encoding (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>),
//! which is stable.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Uri,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use percent_encoding::percent_decode_str;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::layer::Span;
use crate::{
    http_client::{HttpClient, http_client},
    metrics::metrics,
    settings::TraceSettings,
};

/// Spans of one request to the collector.
const BATCH: usize = 512;

/// How long spans wait for others.
const DELAY: Duration = Duration::from_secs(1);

/// For a request to the collector.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A collector.
pub(super) struct Collector {
    http: HttpClient<Full<Bytes>>,
    url: Uri,
    headers: HeaderMap,
    /// Attributes of the service.
    resource: Value,
}

impl Collector {
    pub(super) fn new(settings: &TraceSettings, version: &str) -> Result<Self> {
        let url: Uri = format!("{}/v1/traces", settings.endpoint.trim_end_matches('/')).parse()?;
        let headers = headers(settings.headers.as_ref().map_or("", |headers| headers.expose_secret()))?;
        let is_https = url.scheme_str() == Some("https");
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
        let is_near = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        ensure!(
            is_https || is_near || headers.is_empty(),
            "OTEL_EXPORTER_OTLP_ENDPOINT is not https, so OTEL_EXPORTER_OTLP_HEADERS would be sent in the clear"
        );
        let resource =
            json!([attribute("service.name", &settings.service_name), attribute("service.version", version)]);
        Ok(Self { http: http_client(is_https)?, url, headers, resource })
    }

    async fn send(&self, spans: &[Span]) -> Result<()> {
        let spans: Vec<Value> = spans.iter().map(span).collect();
        let scope = json!({ "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") });
        let body = json!({ "resourceSpans": [{
            "resource": { "attributes": self.resource },
            "scopeSpans": [{ "scope": scope, "spans": spans }],
        }] });
        let mut request = Request::post(self.url.clone()).body(Full::from(body.to_string()))?;
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match tokio::time::timeout(TIMEOUT, self.http.request(request)).await {
            Ok(answer) => {
                let status = answer?.status();
                ensure!(status.is_success(), "it answered {status}");
                Ok(())
            }
            Err(_) => bail!("no answer within {} s", TIMEOUT.as_secs()),
        }
    }
}

/// Sends what comes, until `stop` and what has come by then. What the collector does not take is lost.
pub(super) async fn send_all(collector: Collector, mut spans: mpsc::Receiver<Span>, stop: CancellationToken) {
    let mut is_failing = false;
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        // From then on, what comes is what has come, and then nothing.
        let gather = async {
            if spans.recv_many(&mut batch, BATCH).await == 0 {
                return;
            }
            let rest = async {
                let mut room = BATCH - batch.len();
                while room > 0 {
                    match spans.recv_many(&mut batch, room).await {
                        0 => return,
                        more => room -= more,
                    }
                }
            };
            tokio::time::timeout(DELAY, rest).await.ok();
        };
        tokio::select! {
            () = stop.cancelled() => spans.close(),
            () = gather => {}
        }
        while batch.len() < BATCH
            && let Ok(span) = spans.try_recv()
        {
            batch.push(span);
        }
        if batch.is_empty() {
            return;
        }
        let sent = collector.send(&batch).await;
        match &sent {
            Ok(()) if is_failing => info!("the collector takes spans again"),
            Err(error) if !is_failing => {
                warn!(error = format!("{error:#}"), "the collector does not take spans: they are lost");
            }
            _ => {}
        }
        is_failing = sent.is_err();
        metrics().spans(if is_failing { "lost" } else { "sent" }, batch.len() as u64);
        batch.clear();
    }
}

/// `name=value` pairs, separated by commas, with percent-encoded values
/// (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/#specifying-headers-via-environment-variables>). The errors show none.
fn headers(text: &str) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
        let (name, value) = pair.split_once('=').context("OTEL_EXPORTER_OTLP_HEADERS must be name=value,…")?;
        let name = HeaderName::try_from(name.trim()).ok();
        let value = percent_decode_str(value.trim()).collect::<Vec<u8>>();
        let value = HeaderValue::from_bytes(&value).ok();
        let (Some(name), Some(mut value)) = (name, value) else {
            bail!("OTEL_EXPORTER_OTLP_HEADERS has a name or a value that HTTP does not allow");
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn span(span: &Span) -> Value {
    // 0 is `STATUS_CODE_UNSET`, 2 is `STATUS_CODE_ERROR`.
    let status = match &span.error {
        None => json!({ "code": 0 }),
        Some(error) => json!({ "code": 2, "message": error }),
    };
    let attributes = span.attributes.iter().map(|(name, value)| json!({ "key": name, "value": value }));
    json!({
        "traceId": format!("{:032x}", span.trace),
        "spanId": format!("{:016x}", span.id),
        "parentSpanId": span.parent.map(|parent| format!("{parent:016x}")).unwrap_or_default(),
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": nanoseconds(span.began),
        "endTimeUnixNano": nanoseconds(span.began + span.took),
        "attributes": attributes.collect::<Vec<_>>(),
        "status": status,
    })
}

fn attribute(name: &str, value: &str) -> Value {
    json!({ "key": name, "value": { "stringValue": value } })
}

/// A 64-bit number is a text in JSON.
fn nanoseconds(time: SystemTime) -> String {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn headers_are_sent_to_this_machine_or_by_https_only() {
        let collector = |endpoint: &str, headers: &str| {
            let headers = Some(SecretString::from(headers));
            let settings = TraceSettings { endpoint: endpoint.to_owned(), headers, service_name: "media".to_owned() };
            Collector::new(&settings, "1")
        };
        let good = collector("http://127.0.0.1:4318/", "authorization=Bearer%20sentinel, x-scope = a").unwrap();
        assert_eq!(good.url, "http://127.0.0.1:4318/v1/traces");
        assert_eq!(
            (&good.headers["authorization"], &good.headers["x-scope"]),
            (&"Bearer sentinel".parse().unwrap(), &"a".parse().unwrap())
        );
        assert!(collector("http://[::1]:4318", "a=b").is_ok() && collector("http://collector:4318", "").is_ok());
        for (endpoint, headers) in [
            ("http://collector:4318", "a=sentinel"),
            ("http://localhost", "sentinel"),
            ("http://localhost", "a=%0Asentinel"),
        ] {
            let error = collector(endpoint, headers).err().unwrap().to_string();
            assert!(error.starts_with("OTEL_") && !error.contains("sentinel"), "{error}");
        }
    }
}
