//! Runs the service: startup, serving, graceful shutdown.

use std::{io::IsTerminal, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use listenfd::ListenFd;
use tokio::net::TcpListener;
use tracing::{info, warn};
use tracing_subscriber::{Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    auth::Authenticator,
    db,
    http::{
        self, AppState, MaxUploadBytes, Version,
        connections::{self, Draining},
    },
    ingest::{self, Ingest},
    process::{ProcessSettings, Processes},
    readiness::Readiness,
    settings::{LogFormat, Settings},
    storage::Storage,
};

/// How long queries may take after the last request has ended.
const DATABASE_CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs the service until SIGTERM or SIGINT. It accepts requests only after the migrations are applied and the storage is
/// open.
///
/// # Errors
/// If the service cannot start.
pub async fn serve(settings: Settings) -> anyhow::Result<()> {
    start_logging(&settings);
    info!(version = settings.service_version, "starting");
    let listener = listen(&settings)?;
    let storage = Arc::new(Storage::open(&settings.storage).context("cannot open the storage")?);
    let db = db::connect(settings.database).await?;
    db::migrate(&db).await?;
    ingest::recover(&db, &storage).await.context("cannot recover unfinished uploads")?;

    let draining = Draining::default();
    // Decoding images and hashing passwords are CPU-bound.
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let authenticator = Authenticator::new(db.clone(), &settings.jwt_secret, settings.bootstrap_token, cpus);
    let processes = Processes::start(ProcessSettings::new(std::env::temp_dir(), cpus, settings.model_dir)).await;
    let router = http::router(AppState {
        ingest: Arc::new(Ingest::new(db.clone(), storage.clone(), settings.max_pixels, processes)),
        authenticator: Arc::new(authenticator),
        readiness: Arc::new(Readiness::new(db.clone(), storage.clone())),
        draining: draining.clone(),
        version: Version(settings.service_version.into()),
        max_upload_bytes: MaxUploadBytes(settings.max_upload_bytes),
        storage,
        db: db.clone(),
    });
    info!(address = %listener.local_addr()?, "listening");
    connections::serve(listener, router, draining).await?;
    // An aborted request may still have a query in progress.
    if tokio::time::timeout(DATABASE_CLOSE_TIMEOUT, db.close()).await.is_err() {
        warn!("shutdown timeout: aborting database queries in progress");
    }
    info!("stopped");
    Ok(())
}

/// Runs the database migrations.
///
/// # Errors
/// If the database is unreachable or a migration fails.
pub async fn migrate(settings: Settings) -> anyhow::Result<()> {
    start_logging(&settings);
    db::migrate(&db::connect(settings.database).await?).await
}

/// Takes the socket that LISTEN_FDS passes, or binds `HOST` and `PORT`.
fn listen(settings: &Settings) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::new(settings.host, settings.port);
    let socket = match ListenFd::from_env().take_tcp_listener(0).context("cannot take the socket of LISTEN_FDS")? {
        Some(socket) => socket,
        None => std::net::TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?,
    };
    socket.set_nonblocking(true)?;
    Ok(TcpListener::from_std(socket)?)
}

/// Logs to standard error.
fn start_logging(settings: &Settings) {
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = match settings.log_format {
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
        LogFormat::Pretty => lines.boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(settings.log_level.clone())).init();
}
