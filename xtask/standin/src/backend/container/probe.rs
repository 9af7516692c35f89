//! The probes that must succeed before a container receives connections.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bollard::Docker;
use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::engine::{exit_reason, inspect, is_running, log_tail, published_address};
use crate::fields::{block, blocks, non_empty_text, text};
use crate::value::Map;

/// The time between two attempts, whatever interval the configuration sets. A probe still fails only after its threshold
/// times its interval.
const INTERVAL: Duration = Duration::from_millis(200);

/// How long a connection must stay open to count. The engine accepts a connection before it knows whether the container
/// does.
const MIN_OPEN: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct Probe {
    /// The name of the block.
    name: &'static str,
    /// The path of an HTTP probe. `None` for a TCP probe.
    path: Option<String>,
    /// The time limit of one attempt.
    timeout: Duration,
    /// When the probe fails: its threshold times its interval.
    deadline: Duration,
}

impl Probe {
    /// Returns the probes of a container: `startup_probe` and `liveness_probe`, or else the deprecated `health_check`. If
    /// none is set, the port must accept connections, as with the real provider.
    pub fn from_values(values: &Map) -> Result<Vec<Self>> {
        let probe = |name: &'static str| block(values, name).map(|block| Self::from_block(name, block)).transpose();
        let mut probes: Vec<_> = [probe("startup_probe")?, probe("liveness_probe")?].into_iter().flatten().collect();
        if probes.is_empty() {
            let (timeout, deadline) = (Duration::from_secs(1), Duration::from_secs(30));
            probes.push(probe("health_check")?.unwrap_or(Self { name: "port", path: None, timeout, deadline }));
        }
        Ok(probes)
    }

    fn from_block(name: &'static str, block: &Map) -> Result<Self> {
        let time = |field: &str, default: &str| {
            let text = non_empty_text(block, field).unwrap_or_else(|| default.to_owned());
            duration(&text).with_context(|| format!("{name}.{field} is {text:?}"))
        };
        let path = blocks(block, "http").next().and_then(|http| text(http, "path"));
        let threshold = non_empty_text(block, "failure_threshold").and_then(|number| number.parse().ok()).unwrap_or(30);
        let deadline = time("interval", "1s")?.saturating_mul(threshold);
        Ok(Self { name, path, timeout: time("timeout", "1s")?, deadline })
    }

    /// Makes one attempt. The error is why it failed.
    async fn attempt(&self, address: SocketAddr) -> Result<(), String> {
        let response = async {
            match &self.path {
                Some(path) => http(address, path).await,
                None => tcp(address).await,
            }
        };
        timeout(self.timeout.max(MIN_OPEN * 2), response)
            .await
            .unwrap_or_else(|_| Err(format!("no response within {:?}", self.timeout)))
    }
}

/// Waits until all probes succeed, one after the other. `timeout` limits all of them together. The inner error is why one
/// failed.
pub async fn wait(
    docker: &Docker,
    name: &str,
    probes: &[Probe],
    port: u16,
    timeout: Duration,
) -> Result<Result<(), String>> {
    let end = Instant::now() + timeout;
    for probe in probes {
        let end = end.min(Instant::now() + probe.deadline);
        loop {
            let next_attempt = Instant::now() + INTERVAL;
            let Some(container) = inspect(docker, name).await? else {
                return Ok(Err("the container was removed".to_owned()));
            };
            if !is_running(&container) {
                return Ok(Err(exit_reason(docker, name, &container).await));
            }
            let Err(reason) = probe.attempt(published_address(&container)?).await else { break };
            if next_attempt > end {
                let target = probe.path.as_deref().unwrap_or("a connection");
                let log = log_tail(docker, name).await;
                let (name, deadline) = (probe.name, probe.deadline.min(timeout));
                return Ok(Err(format!(
                    "{name}: {target} at port {port} did not succeed within {deadline:?}: {reason}{log}"
                )));
            }
            sleep_until(next_attempt).await;
        }
    }
    Ok(Ok(()))
}

/// Parses a duration such as `1m30s`.
pub fn duration(text: &str) -> Result<Duration> {
    let duration: jiff::SignedDuration = text.parse().context("not a duration such as 1m30s")?;
    duration.try_into().context("a duration must not be negative")
}

async fn http(address: SocketAddr, path: &str) -> Result<(), String> {
    let uri = format!("http://{address}/{}", path.trim_start_matches('/'));
    let uri = uri.parse().map_err(|_| format!("{path:?} is not a path"))?;
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let response = client.get(uri).await.map_err(|error| error.to_string())?;
    let status = response.status();
    if status.is_success() || status.is_redirection() { Ok(()) } else { Err(format!("the response is {status}")) }
}

async fn tcp(address: SocketAddr) -> Result<(), String> {
    let mut stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    match timeout(MIN_OPEN, stream.read_u8()).await {
        Ok(Err(_)) => Err("the container does not accept connections".to_owned()),
        // The container has sent a byte, or waits for the client to send one.
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}
