//! Traces for a collector of OpenTelemetry: spans of requests, jobs, calls to the storage and queries.
//!
//! Spans of the target [`TARGET`] are sent, and are not in the log. Their fields are attributes, apart from those that
//! `traces/layer.rs` reads. None has a path, a name or a token: routes are patterns.
//!
//! OpenTelemetry's own crates would be twelve more in the first build.

mod collector;
mod context;
mod layer;

use std::time::Duration;

use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use self::collector::Collector;
pub use self::{context::TraceContext, layer::TraceLayer};
use crate::settings::TraceSettings;

/// The target of spans that are sent to the collector.
pub const TARGET: &str = "otel";

/// Spans that wait to be sent. More are lost: the service never waits for a collector.
const WAITING: usize = 4096;

/// How long the last spans may take at the end of the process.
const LAST: Duration = Duration::from_secs(3);

/// What sends the spans, until it is finished.
pub struct Traces {
    stop: CancellationToken,
    sending: JoinHandle<()>,
}

/// Begins to send spans to the collector. The layer collects them.
///
/// # Errors
/// If the settings cannot be used.
pub fn start(settings: &TraceSettings, version: &str) -> anyhow::Result<(TraceLayer, Traces)> {
    let collector = Collector::new(settings, version)?;
    let (sender, spans) = mpsc::channel(WAITING);
    let stop = CancellationToken::new();
    let sending = tokio::spawn(collector::send_all(collector, spans, stop.clone()));
    Ok((TraceLayer::new(sender), Traces { stop, sending }))
}

impl Traces {
    /// Sends what is left, for at most three seconds.
    pub async fn finish(self) {
        self.stop.cancel();
        if tokio::time::timeout(LAST, self.sending).await.is_err() {
            tracing::warn!("the collector did not take the last spans in time");
        }
    }
}
