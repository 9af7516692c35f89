//! Accepts connections, and shuts down gracefully without failing a request.
//!
//! The next release may share the listening socket and accept from the same queue, so a shutdown first stops accepting. An
//! open connection may be in a client's pool, and the client may send a request on it at any time; closing it then would
//! fail the request. So connections stay open for a grace period, and each response has the header `Connection: close`.
//! The client's next connection reaches the next release.

mod activity;
mod open;
mod stream;

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{Request, header::CONTENT_TYPE},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::{debug, info, warn};

pub use self::open::most;
use self::{
    activity::{Phase, Watched},
    open::{OpenConnection, OpenConnections},
    stream::ClientStream,
};
use super::client::Peer;

/// How long an idle connection stays open during a shutdown.
const IDLE_GRACE: Duration = Duration::from_secs(10);

/// How long a request may take during a shutdown.
const REQUEST_GRACE: Duration = Duration::from_secs(30);

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
    let connections = OpenConnections::of_this_process();
    for number in 0.. {
        let (place, accepted) = tokio::select! {
            biased;
            signalled = &mut signalled => {
                signalled?;
                break;
            }
            // In this order: the place of another connection is taken for one that is there.
            accepted = async {
                let accepted = listener.accept().await;
                (connections.place().await, accepted)
            } => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = connections.add(number, place);
                drop(tokio::spawn(serve_connection(stream, peer, connection, app.clone(), open.clone())));
            }
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

async fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    open: OpenConnection,
    app: Router,
    mut closing: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "cannot set TCP_NODELAY");
    }
    let activity = open.activity();
    let service = service_fn(|mut request: Request<Incoming>| {
        activity.begin();
        request.extensions_mut().insert(Peer(peer.ip()));
        let answer = app.clone().oneshot(request.map(|body| Body::new(Watched::received(body, activity))));
        async move {
            let response = answer.await?;
            let is_stream = response.headers().get(CONTENT_TYPE).is_some_and(|it| it == "text/event-stream");
            let phase = if is_stream { Phase::Streaming } else { Phase::Sending };
            activity.answer(phase);
            Ok::<_, Infallible>(response.map(|body| Watched::sent(body, activity, phase)))
        }
    });
    // The stream has all the limits on time.
    let io = TokioIo::new(ClientStream::new(stream, activity.clone()));
    let mut connection = pin!(http1::Builder::new().header_read_timeout(None).serve_connection(io, service));
    let told_to_close = async { closing.wait_for(|closing| *closing).await.is_ok() };
    let ended = tokio::select! {
        biased;
        () = activity.until_evicted() => return debug!("closed an idle connection to make place for another"),
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
