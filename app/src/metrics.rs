//! Metrics of this process, for Prometheus. Operators build on their names: METRICS.md lists them, and a test compares it with the
//! declarations here.
//!
//! Each value of a label is one of a few: routes are patterns, never paths.

mod declare;
mod process;
mod scrape;

use std::{sync::LazyLock, time::Duration};

use hyper::{Method, StatusCode};
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use self::declare::{Declarations, Labelled};
pub use self::scrape::serve;

/// The states of jobs, as in the query of [`crate::jobs::count`].
pub const JOB_STATES: [&str; 4] = ["due", "working", "postponed", "quarantined"];

/// The metrics of this process. Counting costs well below a microsecond, whether or not they are read.
pub fn metrics() -> &'static Metrics {
    static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::declare);
    &METRICS
}

/// See METRICS.md.
pub struct Metrics {
    registry: Registry,
    build: Labelled<Gauge, 1>,
    requests: Labelled<Counter, 3>,
    request_seconds: Labelled<Histogram, 2>,
    uploads: Labelled<Counter, 1>,
    upload_bytes: Labelled<Counter, 0>,
    jobs: Labelled<Gauge, 2>,
    job_oldest_seconds: Labelled<Gauge<f64, std::sync::atomic::AtomicU64>, 1>,
    queue_messages: Labelled<Gauge, 1>,
    job_attempts: Labelled<Counter, 2>,
    job_seconds: Labelled<Histogram, 1>,
    decode_seconds: Labelled<Histogram, 1>,
    storage_calls: Labelled<Counter, 2>,
    storage_call_seconds: Labelled<Histogram, 1>,
    connections: Labelled<Gauge, 1>,
    event_streams: Labelled<Gauge, 0>,
    events: Labelled<Counter, 1>,
    spans: Labelled<Counter, 1>,
    process: process::ProcessMetrics,
}

impl Metrics {
    fn declare() -> Self {
        Self::declare_in(Declarations::default()).0
    }

    /// The metrics, and the lines of METRICS.md.
    fn declare_in(mut all: Declarations) -> (Self, Vec<String>) {
        let build = all.gauge("media_build_info", "1, with the version of the release", ["version"]);
        let requests = all.counter(
            "media_http_requests",
            "Requests by method, route pattern and class of the status; aborted: the client left before the response",
            ["method", "route", "status"],
        );
        let request_seconds = all.histogram(
            "media_http_request_duration_seconds",
            "Time from a request's head to its response's head",
            ["method", "route"],
        );
        let uploads = all.counter(
            "media_uploads",
            "Completely received uploads: added, replaced (another file), duplicate, repeated (Idempotency-Key), rejected (the file or the request is at fault), failed (the service is)",
            ["outcome"],
        );
        let upload_bytes = all.counter("media_upload_bytes", "Received bytes of files, also of unfinished uploads", []);
        let jobs = all.gauge(
            "media_jobs",
            "Jobs in the queue of all instances: due, working, postponed (after a failed attempt), quarantined",
            ["kind", "state"],
        );
        let job_oldest_seconds =
            all.gauge("media_job_oldest_due_seconds", "How long the oldest job that is due has waited", ["kind"]);
        let queue_messages = all.gauge(
            "media_queue_messages",
            "Messages of the queue of QUEUE_URL, about: waiting, in_flight (received, and not settled), dead (in the dead-letter queue)",
            ["state"],
        );
        let job_attempts = all.counter(
            "media_job_attempts",
            "Attempts of this process: done, rejected (the file), retry (they failed), lost (another process has the job)",
            ["kind", "outcome"],
        );
        let job_seconds = all.histogram("media_job_duration_seconds", "Time of an attempt", ["kind"]);
        let decode_seconds = all.histogram(
            "media_decode_duration_seconds",
            "Time to decode a file and to derive the smaller pictures, waiting for a free processor included",
            ["format"],
        );
        let storage_calls = all.counter(
            "media_storage_calls",
            "Calls to the storage: ok, full (no space), unavailable, failed",
            ["operation", "outcome"],
        );
        let storage_call_seconds =
            all.histogram("media_storage_call_duration_seconds", "Time of a call to the storage", ["operation"]);
        let connections =
            all.gauge("media_database_connections", "Connections of this process's pool: used, idle", ["state"]);
        let event_streams = all.gauge("media_event_streams", "Open streams of events", []);
        let events = all.counter(
            "media_events",
            "Events in the streams: media (one was processed or changed), deleted (for ever), look (at first, or the client was too slow)",
            ["event"],
        );
        let spans = all.counter("media_trace_spans", "Spans for the collector: sent, lost", ["outcome"]);
        let process = process::ProcessMetrics::declare(&mut all);
        let Declarations { registry, documented } = all;
        let metrics = Self {
            registry,
            build,
            requests,
            request_seconds,
            uploads,
            upload_bytes,
            jobs,
            job_oldest_seconds,
            queue_messages,
            job_attempts,
            job_seconds,
            decode_seconds,
            storage_calls,
            storage_call_seconds,
            connections,
            event_streams,
            events,
            spans,
            process,
        };
        (metrics, documented)
    }

    /// A request that has ended; without a status, its client left. `route` is `None` if no route has the path.
    pub fn request(&self, method: &Method, route: Option<&str>, status: Option<StatusCode>, took: Duration) {
        let method = known_method(method);
        let route = route.unwrap_or("unmatched").to_owned();
        let class = match status.map(|status| status.as_u16() / 100) {
            Some(1) => "1xx",
            Some(2) => "2xx",
            Some(3) => "3xx",
            Some(4) => "4xx",
            Some(_) => "5xx",
            None => "aborted",
        };
        self.requests.at([method.into(), route.clone().into(), class.into()]).inc();
        self.request_seconds.at([method.into(), route.into()]).observe(took.as_secs_f64());
    }

    /// An upload that was received completely.
    pub fn upload(&self, outcome: &'static str) {
        self.uploads.at([outcome.into()]).inc();
    }

    /// A part of an uploaded file, in bytes.
    pub fn received(&self, bytes: u64) {
        self.upload_bytes.at([]).inc_by(bytes);
    }

    /// An attempt at a job.
    pub fn job(&self, kind: &'static str, outcome: &'static str, took: Duration) {
        self.job_attempts.at([kind.into(), outcome.into()]).inc();
        self.job_seconds.at([kind.into()]).observe(took.as_secs_f64());
    }

    /// A file of this type was decoded, or found to be broken.
    pub fn decoded(&self, format: &'static str, took: Duration) {
        self.decode_seconds.at([format.into()]).observe(took.as_secs_f64());
    }

    /// A call to the storage.
    pub fn storage_call(&self, operation: &'static str, outcome: &'static str, took: Duration) {
        self.storage_calls.at([operation.into(), outcome.into()]).inc();
        self.storage_call_seconds.at([operation.into()]).observe(took.as_secs_f64());
    }

    /// A stream of events has begun.
    pub fn stream_opened(&self) {
        self.event_streams.at([]).inc();
    }

    /// A stream of events has ended.
    pub fn stream_closed(&self) {
        self.event_streams.at([]).dec();
    }

    /// An event in a stream.
    pub fn event(&self, event: &'static str) {
        self.events.at([event.into()]).inc();
    }

    /// Spans that were sent to the collector, or lost.
    pub fn spans(&self, outcome: &'static str, count: u64) {
        self.spans.at([outcome.into()]).inc_by(count);
    }
}

/// The name of a method; a client may send any word as one.
pub fn known_method(method: &Method) -> &'static str {
    const KNOWN: [Method; 7] =
        [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    const NAMES: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.iter().position(|known| known == method).map_or("other", |place| NAMES[place])
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn metrics_md_lists_every_metric() {
        let (_, documented) = Metrics::declare_in(Declarations::default());
        let committed = include_str!("../METRICS.md");
        let listed: Vec<_> = committed.lines().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(listed, documented, "METRICS.md is stale; its lines must be:\n{}", documented.join("\n"));
    }

    #[test]
    fn what_clients_make_up_is_one_value_of_a_label() {
        let metrics = Metrics::declare();
        for made_up in ["PROPFIND", "X1", "X2"] {
            let method = Method::from_bytes(made_up.as_bytes()).unwrap();
            metrics.request(&method, None, Some(StatusCode::NOT_FOUND), Duration::from_millis(3));
        }
        metrics.request(&Method::GET, Some("/api/media/{id}"), None, Duration::from_secs(7));
        let mut text = String::new();
        encode(&mut text, &metrics.registry).unwrap();
        let counted: Vec<_> = text.lines().filter(|line| line.starts_with("media_http_requests_total")).collect();
        assert_eq!(counted.len(), 2, "{text}");
        for line in [
            r#"media_http_requests_total{method="other",route="unmatched",status="4xx"} 3"#,
            r#"media_http_requests_total{method="GET",route="/api/media/{id}",status="aborted"} 1"#,
        ] {
            assert!(counted.contains(&line), "{line} is not in {text}");
        }
    }
}
