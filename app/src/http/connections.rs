//! Accepts connections, and shuts down gracefully without failing a request.
//!
//! The next release may share the listening socket and accept from the same queue, so a shutdown first stops accepting. An
//! open connection may be in a client's pool, and the client may send a request on it at any time; closing it then would
//! fail the request. So connections stay open for a grace period, and each response has the header `Connection: close`.
//! The client's next connection reaches the next release.

use std::{
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, http::Request};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::{debug, info, warn};

use super::{client::Peer, lingering::LingeringStream};

/// How long an idle connection stays open during a shutdown.
const IDLE_GRACE: Duration = Duration::from_secs(10);

/// How long a request may take during a shutdown.
const REQUEST_GRACE: Duration = Duration::from_secs(30);

/// How long a connection may be idle, and how long receiving a request's head may take. Longer than the usual 60 seconds of
/// load balancers and clients, so that they close first.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(75);

/// A flag that is set while the service shuts down.
#[derive(Clone, Default)]
pub struct Draining(Arc<AtomicBool>);

impl Draining {
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Waits for SIGTERM or SIGINT.
pub async fn until_signalled() -> io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Serves requests until SIGTERM or SIGINT, then cancels `stop` and shuts down gracefully: within 10 seconds if no request is
/// in progress, else within 30 seconds.
pub async fn serve(listener: TcpListener, app: Router, draining: Draining, stop: &CancellationToken) -> io::Result<()> {
    let mut signalled = pin!(until_signalled());
    // Each connection holds a receiver, which tells it to close. The number of receivers is the number of connections.
    let (closing, open) = watch::channel(false);
    loop {
        let accepted = tokio::select! {
            biased;
            signalled = &mut signalled => {
                signalled?;
                break;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => drop(tokio::spawn(serve_connection(stream, peer, app.clone(), open.clone()))),
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                // Probably out of file descriptors. Requests that end free some.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    let signalled = Instant::now();
    drop(listener);
    draining.0.store(true, Ordering::Relaxed);
    stop.cancel();
    drop(open);
    info!(connections = closing.receiver_count(), "stopping, accepting no new connections");
    if timeout_at(signalled + IDLE_GRACE, closing.closed()).await.is_err() {
        closing.send_replace(true);
        if timeout_at(signalled + REQUEST_GRACE, closing.closed()).await.is_err() {
            warn!(connections = closing.receiver_count(), "shutdown timeout: aborting requests in progress");
        }
    }
    Ok(())
}

async fn serve_connection(stream: TcpStream, peer: SocketAddr, app: Router, mut closing: watch::Receiver<bool>) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "cannot set TCP_NODELAY");
    }
    let service = TowerToHyperService::new(app.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer.ip()));
        request.map(Body::new)
    }));
    let io = TokioIo::new(LingeringStream::new(stream));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_READ_TIMEOUT);
    let mut connection = pin!(http.serve_connection(io, service));
    let told_to_close = async { closing.wait_for(|closing| *closing).await.is_ok() };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = told_to_close => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "connection ended early");
    }
}
