//! What must answer before a container serves.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bollard::Docker;
use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::wanted::Wanted;
use super::{ended, inspect, published, runs, said};
use crate::value::{Map, Value};

/// Asked more often than a real one, so that nobody waits for the rest of an interval; it takes as long to fail.
const INTERVAL: Duration = Duration::from_millis(200);

/// How long a connection must stay open to be one to the container: the engine takes it first and asks then.
const OPEN: Duration = Duration::from_millis(100);

/// One question.
#[derive(Debug, Serialize)]
pub struct Probe {
    /// The block that asks it.
    name: &'static str,
    /// Otherwise only that its port takes connections.
    path: Option<String>,
    /// How long one answer may take.
    timeout: Duration,
    /// How long until an answer must be good.
    patience: Duration,
}

impl Probe {
    /// Those of a container's values. The older kind counts only where there is none of the newer; without any, its port
    /// must take connections, as at the real provider.
    pub fn all(values: &Map) -> Result<Vec<Self>> {
        let block = |name: &'static str| {
            let blocks = values.get(name).map(Value::list).unwrap_or_default();
            blocks.first().and_then(Value::map).map(|block| Self::read(name, block)).transpose()
        };
        let mut all: Vec<_> = [block("startup_probe")?, block("liveness_probe")?].into_iter().flatten().collect();
        if all.is_empty() {
            let (timeout, patience) = (Duration::from_secs(1), Duration::from_secs(30));
            all.push(block("health_check")?.unwrap_or(Self { name: "port", path: None, timeout, patience }));
        }
        Ok(all)
    }

    fn read(name: &'static str, block: &Map) -> Result<Self> {
        let text = |field: &str| block.get(field).and_then(Value::text).filter(|text| !text.is_empty());
        let time = |field: &str, unset: &str| {
            let text = text(field).unwrap_or_else(|| unset.to_owned());
            duration(&text).with_context(|| format!("{name}.{field} is {text:?}"))
        };
        let path = block.get("http").and_then(|http| http.list().first()?.map()?.get("path")?.text());
        let threshold = text("failure_threshold").and_then(|number| number.parse().ok()).unwrap_or(30);
        let patience = time("interval", "1s")?.saturating_mul(threshold);
        Ok(Self { name, path, timeout: time("timeout", "1s")?, patience })
    }

    /// Asks once. The error is what was wrong.
    async fn ask(&self, at: SocketAddr) -> Result<(), String> {
        let answer = async {
            match &self.path {
                Some(path) => http(at, path).await,
                None => tcp(at).await,
            }
        };
        timeout(self.timeout.max(OPEN * 2), answer)
            .await
            .unwrap_or_else(|_| Err(format!("no answer in {:?}", self.timeout)))
    }
}

/// Waits until every probe was answered well. The inner error is why one was not.
pub async fn wait(docker: &Docker, name: &str, wanted: &Wanted) -> Result<Result<(), String>> {
    let end = Instant::now() + wanted.timeout;
    for probe in &wanted.probes {
        let end = end.min(Instant::now() + probe.patience);
        loop {
            let again = Instant::now() + INTERVAL;
            let Some(there) = inspect(docker, name).await? else { return Ok(Err("the container is gone".to_owned())) };
            if !runs(&there) {
                return Ok(Err(ended(docker, name, &there).await));
            }
            let Err(why) = probe.ask(published(&there)?).await else { break };
            if again > end {
                let what = probe.path.as_deref().unwrap_or("a connection");
                let said = said(docker, name).await;
                let port = wanted.port;
                let (name, patience) = (probe.name, probe.patience.min(wanted.timeout));
                return Ok(Err(format!(
                    "{name}: {what} at port {port} did not succeed within {patience:?}: {why}{said}"
                )));
            }
            sleep_until(again).await;
        }
    }
    Ok(Ok(()))
}

/// As `1m30s`.
pub fn duration(text: &str) -> Result<Duration> {
    let read: jiff::SignedDuration = text.parse().context("it is no duration as 1m30s")?;
    read.try_into().context("it is less than nothing")
}

async fn http(at: SocketAddr, path: &str) -> Result<(), String> {
    let uri = format!("http://{at}/{}", path.trim_start_matches('/'));
    let uri = uri.parse().map_err(|_| format!("{path:?} is no path"))?;
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.get(uri).await.map_err(|error| error.to_string())?;
    let status = answer.status();
    if status.is_success() || status.is_redirection() { Ok(()) } else { Err(format!("it answered {status}")) }
}

async fn tcp(at: SocketAddr) -> Result<(), String> {
    let mut stream = TcpStream::connect(at).await.map_err(|error| error.to_string())?;
    match timeout(OPEN, stream.read_u8()).await {
        Ok(Err(_)) => Err("nothing takes connections".to_owned()),
        // It has said something, or waits to be asked.
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}
