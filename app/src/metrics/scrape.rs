//! `GET /metrics`, on an address of its own: what it tells is for operators only.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::encoding::text::encode;
use sqlx::PgPool;
use tokio::{net::TcpListener, sync::Mutex, time::timeout};
use tracing::{error, info, warn};

use super::{JOB_STATES, metrics};
use crate::{
    jobs::{self, Kind},
    queue::{Depth, Queue},
};

/// How long the counts of jobs and messages are reused, so that several scrapers cost one query.
const QUEUE_TTL: Duration = Duration::from_secs(5);

/// Longer than that, and a scrape goes without them.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a port is tried that another process has.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Clone)]
struct Scraped {
    db: PgPool,
    queue: Queue,
    /// When both queues were counted: jobs and messages.
    counted: Arc<Mutex<Option<Instant>>>,
}

/// Serves the metrics in the background. During a deploy the release before may still have the port: then this one waits for it.
///
/// # Errors
/// If the address is not one of this machine, or not allowed.
pub async fn serve(address: SocketAddr, version: &str, db: PgPool, queue: Queue) -> anyhow::Result<()> {
    metrics().build.at([version.to_owned().into()]).set(1);
    let scraped = Scraped { db, queue, counted: Arc::default() };
    let router = Router::new().route("/metrics", get(scrape)).with_state(scraped);
    let first = match TcpListener::bind(address).await {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            warn!(%address, "another process has the port of the metrics; waiting for it");
            None
        }
        first => Some(first.with_context(|| format!("cannot listen on {address} for METRICS_PORT"))?),
    };
    if let Some(listener) = &first {
        info!(address = %listener.local_addr()?, "serving metrics");
    }
    tokio::spawn(async move {
        let listener = match first {
            Some(listener) => listener,
            None => wait_for(address).await,
        };
        if let Err(error) = axum::serve(listener, router).await {
            error!(%error, "the metrics are no longer served");
        }
    });
    Ok(())
}

async fn wait_for(address: SocketAddr) -> TcpListener {
    loop {
        tokio::time::sleep(RETRY).await;
        if let Ok(listener) = TcpListener::bind(address).await {
            info!(%address, "serving metrics");
            return listener;
        }
    }
}

/// In the text format of OpenMetrics 1.0, which Prometheus reads.
async fn scrape(State(scraped): State<Scraped>) -> Response {
    scraped.read().await;
    let mut text = String::new();
    match encode(&mut text, &metrics().registry) {
        Ok(()) => {
            ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
        }
        Err(error) => {
            error!(%error, "the metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

impl Scraped {
    /// Reads what is not counted as it happens.
    async fn read(&self) {
        let metrics = metrics();
        metrics.process.read();
        let (all, idle) = (i64::from(self.db.size()), i64::try_from(self.db.num_idle()).unwrap_or(i64::MAX));
        metrics.connections.at(["idle".into()]).set(idle.min(all));
        metrics.connections.at(["used".into()]).set((all - idle).max(0));
        let mut counted = self.counted.lock().await;
        if counted.is_some_and(|counted| counted.elapsed() < QUEUE_TTL) {
            return;
        }
        let jobs = async { jobs::count(&self.db).await.map_err(anyhow::Error::from) };
        let (jobs, messages) = tokio::join!(in_time("jobs", jobs), in_time("messages", self.queue.depth()));
        *counted = (jobs.is_some() && messages.is_some()).then(Instant::now);
        // An old count would look like a queue that stands still.
        match jobs {
            Some(counts) => set_queue(&counts),
            None => {
                metrics.jobs.clear();
                metrics.job_oldest_seconds.clear();
            }
        }
        match messages.flatten() {
            Some(depth) => set_messages(depth),
            None => metrics.queue_messages.clear(),
        }
    }
}

/// What is counted; `None` if there is no answer in time.
async fn in_time<T>(what: &str, counting: impl Future<Output = anyhow::Result<T>>) -> Option<T> {
    let counted = timeout(QUEUE_TIMEOUT, counting).await.unwrap_or_else(|_| Err(anyhow!("no answer in time")));
    counted.inspect_err(|error| warn!(error = format!("{error:#}"), "cannot count {what} for the metrics")).ok()
}

fn set_messages(Depth { waiting, in_flight, dead }: Depth) {
    let messages = &metrics().queue_messages;
    messages.clear();
    for (state, count) in [("waiting", Some(waiting)), ("in_flight", Some(in_flight)), ("dead", dead)] {
        if let Some(count) = count {
            messages.at([state.into()]).set(count.try_into().unwrap_or(i64::MAX));
        }
    }
}

fn set_queue(counts: &[jobs::Count]) {
    let metrics = metrics();
    for kind in Kind::ALL.map(Kind::as_str) {
        for state in JOB_STATES {
            let count = counts.iter().find(|count| count.kind == kind && count.state == state);
            metrics.jobs.at([kind.into(), state.into()]).set(count.map_or(0, |count| count.jobs));
            if state == "due" {
                metrics.job_oldest_seconds.at([kind.into()]).set(count.map_or(0.0, |count| count.oldest_seconds));
            }
        }
    }
}
