//! Runs the service: startup, serving, graceful shutdown.

use std::{io::IsTerminal, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use listenfd::ListenFd;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use tracing_subscriber::{Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    auth::Authenticator,
    db,
    file_infos::FileInfos,
    http::{
        self, AppState, TrustedProxies, UploadLimits, Version,
        connections::{self, Draining},
    },
    ingest::Ingest,
    process::{ImageLimits, ProcessSettings, Processes},
    readiness::Readiness,
    resumable::ResumableUploads,
    settings::{LogFormat, Settings},
    storage::Storage,
    worker::Worker,
};

/// Uploads that may be in progress at once. Each holds a file descriptor and a few buffers.
const MAX_UPLOADS: usize = 64;

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
    let storage = Arc::new(Storage::open(&settings.storage).await.context("cannot open the storage")?);
    let db = db::connect(settings.database.clone()).await?;
    db::migrate(&db).await?;
    let files = Arc::new(FileInfos::new(db.clone()));

    let draining = Draining::default();
    // Decoding images and hashing passwords are CPU-bound.
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let authenticator = Authenticator::new(db.clone(), &settings.jwt_secret, settings.bootstrap_token.clone(), cpus);
    let worker = worker(&settings, &db, &storage, cpus).await;
    let stop_worker = CancellationToken::new();
    let working = settings.embedded_worker.then(|| tokio::spawn(worker.clone().run(stop_worker.clone())));
    let router = http::router(AppState {
        ingest: Arc::new(Ingest::new(db.clone(), storage.clone(), worker.clone())),
        worker,
        authenticator: Arc::new(authenticator),
        readiness: Arc::new(Readiness::new(db.clone(), storage.clone())),
        draining: draining.clone(),
        version: Version(settings.service_version.into()),
        resumable: ResumableUploads::new(db.clone(), storage.spool()),
        trusted_proxies: TrustedProxies(settings.trusted_proxies),
        upload_limits: UploadLimits::new(settings.max_upload_bytes, MAX_UPLOADS),
        storage,
        files,
        db: db.clone(),
    });
    info!(address = %listener.local_addr()?, "listening");
    // The next release may share the queue, so this one claims nothing more from the first moment of its shutdown on.
    connections::serve(listener, router, draining, &stop_worker).await?;
    if let Some(working) = working {
        working.await?;
    }
    // An aborted request may still have a query in progress.
    if tokio::time::timeout(DATABASE_CLOSE_TIMEOUT, db.close()).await.is_err() {
        warn!("shutdown timeout: aborting database queries in progress");
    }
    info!("stopped");
    Ok(())
}

/// Does the jobs of the queue until SIGTERM or SIGINT, without serving requests.
///
/// # Errors
/// If the worker cannot start.
pub async fn work(settings: Settings) -> anyhow::Result<()> {
    start_logging(&settings);
    let storage = Arc::new(Storage::open(&settings.storage).await.context("cannot open the storage")?);
    let db = db::connect(settings.database.clone()).await?;
    db::migrate(&db).await?;
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let (worker, stop) = (worker(&settings, &db, &storage, cpus).await, CancellationToken::new());
    let working = tokio::spawn(worker.run(stop.clone()));
    info!(version = settings.service_version, "working");
    connections::until_signalled().await?;
    info!("stopping");
    stop.cancel();
    working.await?;
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

async fn worker(settings: &Settings, db: &PgPool, storage: &Arc<Storage>, cpus: usize) -> Arc<Worker> {
    let processes = ProcessSettings::new(storage.spool().to_owned(), cpus, settings.model_dir.clone());
    let processes = Arc::new(Processes::start(processes).await);
    let limits = ImageLimits { max_pixels: settings.max_pixels };
    Arc::new(Worker::new(db.clone(), storage.clone(), processes, limits, settings.strip_location, cpus))
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
