//! Runs the service: startup, serving, graceful shutdown.

use std::{io::IsTerminal, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use listenfd::ListenFd;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use tracing_subscriber::{Layer, filter::LevelFilter, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    auth::{Authenticator, Supabase},
    db::{self, Keep},
    file_infos::FileInfos,
    http::{
        self, AppState, Events, Pages, Presigned, Site, TrustedProxies, UploadLimits, Version,
        connections::{self, Draining},
    },
    ingest::Ingest,
    instances::Presence,
    metrics,
    notifications::Notifications,
    presigned::Creation,
    process::{ImageLimits, ProcessSettings, Processes},
    queue::Queue,
    readiness::Readiness,
    resumable::ResumableUploads,
    settings::{LogFormat, Settings},
    storage::Storage,
    traces::{self, TraceLayer, Traces},
    worker::{Worker, WorkerSettings},
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
    let traces = start_logging(&settings)?;
    info!(version = settings.service_version, "starting");
    let listener = listen(&settings)?;
    let storage = Arc::new(Storage::open(&settings.storage).await.context("cannot open the storage")?);
    let pages = match &settings.static_dir {
        Some(folder) => {
            let accounts = settings.supabase.as_ref().map(|supabase| supabase.url.as_str());
            let pages = Pages::open(folder, &storage, accounts).await.context("cannot serve STATIC_DIR")?;
            Some(Arc::new(pages))
        }
        None => None,
    };
    let db = db::connect(settings.database.clone(), Keep::All).await?;
    serve_metrics(&settings, &db).await?;
    db::migrate(&db).await?;
    let presence = Presence::start(db.clone(), "serve", settings.service_version.clone());
    let files = Arc::new(FileInfos::new(db.clone()));

    let draining = Draining::default();
    // Decoding images and hashing passwords are CPU-bound.
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let stop = CancellationToken::new();
    let supabase = settings.supabase.as_ref().map(Supabase::new).transpose()?;
    let keys = supabase.as_ref().and_then(Supabase::keys);
    if let (Some(keys), stop) = (keys.clone(), stop.clone()) {
        tokio::spawn(async move { keys.keep_fresh(stop).await });
    }
    let (secret, bootstrap) = (&settings.jwt_secret, settings.bootstrap_token.clone());
    let authenticator = Authenticator::new(db.clone(), secret, bootstrap, cpus, supabase);
    let notifications = listen_to_database(&db, &stop);
    let worker = worker(&settings, &db, &storage, cpus, &notifications).await;
    let working = settings
        .embedded_worker
        .then(|| tokio::spawn(worker.clone().run(Queue::open(&settings.storage), stop.clone())));
    let presigned = settings.presigned;
    let creation = Creation::new(db.clone(), presigned.max_pending, presigned.look_after);
    let router = http::router(AppState {
        ingest: Arc::new(Ingest::new(db.clone(), storage.clone(), worker.clone())),
        worker,
        authenticator: Arc::new(authenticator),
        readiness: Arc::new(Readiness::new(db.clone(), storage.clone(), keys)),
        events: Events::new(notifications.clone(), stop.clone()),
        presigned: Presigned { settings: presigned, creation, notifications, stop: stop.clone() },
        draining: draining.clone(),
        version: Version(settings.service_version.into()),
        site: Site(pages),
        resumable: ResumableUploads::new(db.clone(), storage.spool()),
        trusted_proxies: TrustedProxies(settings.trusted_proxies),
        upload_limits: UploadLimits::new(settings.max_upload_bytes, MAX_UPLOADS),
        storage,
        files,
        db: db.clone(),
    });
    info!(address = %listener.local_addr()?, "listening");
    // The next release may share the queue, so this one claims nothing more from the first moment of its shutdown on.
    connections::serve(listener, router, draining, &stop).await?;
    if let Some(working) = working {
        working.await?;
    }
    presence.end().await;
    // An aborted request may still have a query in progress.
    if tokio::time::timeout(DATABASE_CLOSE_TIMEOUT, db.close()).await.is_err() {
        warn!("shutdown timeout: aborting database queries in progress");
    }
    info!("stopped");
    finish(traces).await;
    Ok(())
}

/// Does the jobs of the queue until SIGTERM or SIGINT, without serving requests.
///
/// # Errors
/// If the worker cannot start.
pub async fn work(settings: Settings) -> anyhow::Result<()> {
    let traces = start_logging(&settings)?;
    let storage = Arc::new(Storage::open(&settings.storage).await.context("cannot open the storage")?);
    let db = db::connect(settings.database.clone(), Keep::All).await?;
    serve_metrics(&settings, &db).await?;
    db::migrate(&db).await?;
    let presence = Presence::start(db.clone(), "worker", settings.service_version.clone());
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let stop = CancellationToken::new();
    let notifications = listen_to_database(&db, &stop);
    let worker = worker(&settings, &db, &storage, cpus, &notifications).await;
    let working = tokio::spawn(worker.run(Queue::open(&settings.storage), stop.clone()));
    info!(version = settings.service_version, "working");
    connections::until_signalled().await?;
    info!("stopping");
    stop.cancel();
    working.await?;
    presence.end().await;
    info!("stopped");
    finish(traces).await;
    Ok(())
}

/// Runs the database migrations.
///
/// # Errors
/// If the database is unreachable or a migration fails.
pub async fn migrate(settings: Settings) -> anyhow::Result<()> {
    let traces = start_logging(&settings)?;
    db::migrate(&db::connect(settings.database, Keep::None).await?).await?;
    finish(traces).await;
    Ok(())
}

/// Listens in the background until `stop`.
fn listen_to_database(db: &PgPool, stop: &CancellationToken) -> Arc<Notifications> {
    let notifications = Arc::new(Notifications::new(db.clone()));
    let (listening, stop) = (notifications.clone(), stop.clone());
    tokio::spawn(async move { listening.listen(stop).await });
    notifications
}

async fn worker(
    settings: &Settings,
    db: &PgPool,
    storage: &Arc<Storage>,
    cpus: usize,
    notifications: &Arc<Notifications>,
) -> Arc<Worker> {
    let processes = ProcessSettings::new(storage.spool().to_owned(), cpus, settings.model_dir.clone());
    let processes = Arc::new(Processes::start(processes).await);
    let rules = WorkerSettings {
        limits: ImageLimits { max_pixels: settings.max_pixels },
        max_bytes: settings.max_upload_bytes,
        strip_location: settings.strip_location,
        parallel: cpus,
        look_after: settings.presigned.look_after,
    };
    Arc::new(Worker::new(db.clone(), storage.clone(), processes, rules, notifications.clone()))
}

/// Serves the metrics, if `METRICS_PORT` is set.
async fn serve_metrics(settings: &Settings, db: &PgPool) -> anyhow::Result<()> {
    let Some(address) = settings.metrics else { return Ok(()) };
    metrics::serve(address, &settings.service_version, db.clone(), Queue::open(&settings.storage)).await
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

/// Logs to standard error, and sends traces if a collector is named.
fn start_logging(settings: &Settings) -> anyhow::Result<Option<Traces>> {
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = match settings.log_format {
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
        LogFormat::Pretty => lines.boxed(),
    };
    // A line of the log has the fields of its request, not of the span for the collector that is inside of it.
    let level = settings.log_level.clone().with_target(traces::TARGET, LevelFilter::OFF);
    let started =
        settings.traces.as_ref().map(|traces| traces::start(traces, &settings.service_version)).transpose()?;
    let (layer, traces) = started.unzip();
    let layer = layer.map(|layer| layer.with_filter(TraceLayer::filter()));
    tracing_subscriber::registry().with(lines.with_filter(level)).with(layer).init();
    Ok(traces)
}

async fn finish(traces: Option<Traces>) {
    if let Some(traces) = traces {
        traces.finish().await;
    }
}
