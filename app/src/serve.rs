//! The service's story, from the environment to the last answered request.

use std::{io::IsTerminal, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use listenfd::ListenFd;
use tokio::net::TcpListener;
use tracing::{info, warn};
use tracing_subscriber::{Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    db,
    http::{
        self,
        auth::Gatekeeper,
        connections::{self, Draining},
        health::Health,
    },
    intake::{self, Intake},
    settings::{LogFormat, Settings},
    state::Shared,
    storage::Storage,
};

/// How long queries may still take once the last request has ended.
const DATABASE_GRACE: Duration = Duration::from_secs(5);

/// Runs the service until it is told to stop. Nothing is accepted before the schema is up to date and the storage is
/// known to work.
///
/// # Errors
/// When it cannot start.
pub async fn serve(settings: Settings) -> anyhow::Result<()> {
    start_logging(&settings);
    info!(version = settings.service_version, "starting");
    let listener = listener(&settings)?;
    let storage = Arc::new(Storage::open(&settings.storage).context("opening the storage")?);
    let db = db::connect(settings.database).await?;
    db::migrate(&db).await?;
    intake::sweep(&db, &storage).await.context("finishing what stopped processes left")?;

    let draining = Draining::default();
    let app = http::app(Arc::new(Shared {
        intake: Arc::new(Intake::new(db.clone(), storage.clone(), settings.max_pixels)),
        gatekeeper: Gatekeeper::new(&settings.jwt_secret, settings.bootstrap_token),
        health: Health::default(),
        draining: draining.clone(),
        version: settings.service_version,
        max_upload_bytes: settings.max_upload_bytes,
        storage,
        db: db.clone(),
    }));
    info!(address = %listener.local_addr()?, "listening");
    connections::run(listener, app, draining).await?;
    // Lets what a cut-off request still writes be written, but does not wait for it for ever.
    if tokio::time::timeout(DATABASE_GRACE, db.close()).await.is_err() {
        warn!("a query is cut off: it takes too long");
    }
    info!("stopped");
    Ok(())
}

/// Brings the database's schema up to date and ends.
///
/// # Errors
/// When the database cannot be reached or a migration fails.
pub async fn migrate(settings: Settings) -> anyhow::Result<()> {
    start_logging(&settings);
    db::migrate(&db::connect(settings.database).await?).await
}

/// The socket that was handed over, or one of our own.
fn listener(settings: &Settings) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::new(settings.host, settings.port);
    let socket = match ListenFd::from_env().take_tcp_listener(0).context("taking the socket of LISTEN_FDS")? {
        Some(socket) => socket,
        None => std::net::TcpListener::bind(address).with_context(|| format!("listening on {address}"))?,
    };
    socket.set_nonblocking(true)?;
    Ok(TcpListener::from_std(socket)?)
}

/// Log lines go to standard error, which no program reads as a result.
fn start_logging(settings: &Settings) {
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = match settings.log_format {
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
        LogFormat::Pretty => lines.boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(settings.log_level.clone())).init();
}
