//! Connections: accepting them, and stopping without failing a request.
//!
//! The listening socket may be shared with the next release, which accepts from the same queue. So stopping begins by
//! accepting nothing more. Connections that are open may be in a client's pool, and a client may send on one at any
//! moment; closing it under the request would fail that. Hence they stay open for a while, and whatever is answered
//! on them is the last answer (`Connection: close`), after which a client opens its next connection elsewhere.

use std::{
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{Router, body::Body, http::Request};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::{Instant, Sleep, timeout_at},
};
use tower::ServiceExt;
use tracing::{debug, info, warn};

/// How long an idle connection stays open once the service is stopping.
const IDLE_GRACE: Duration = Duration::from_secs(10);

/// How long a request may still take once the service is stopping.
const REQUEST_GRACE: Duration = Duration::from_secs(30);

/// How long a connection may be idle, and how long a request's head may take. More than load balancers' and clients'
/// usual 60 seconds, so that it is their side that closes.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// How long a closed connection goes on reading what the client still sends.
const LINGER: Duration = Duration::from_secs(2);

/// Whether the service is stopping.
#[derive(Clone, Default)]
pub struct Draining(Arc<AtomicBool>);

impl Draining {
    /// Whether answers are the last on their connection.
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Answers requests until SIGTERM or SIGINT, then finishes what is under way: at most 10 seconds for connections on
/// which nothing happens, at most 30 for requests.
///
/// # Errors
/// When signals cannot be listened for.
pub async fn run(listener: TcpListener, app: Router, draining: Draining) -> io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // Each connection holds a receiver: it learns that it is time to close, and it is counted.
    let (closing, open) = watch::channel(false);
    loop {
        let accepted = tokio::select! {
            biased;
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream, app.clone(), open.clone()))),
            Err(error) => {
                warn!(%error, "accepting a connection failed");
                // Out of file descriptors, most likely: some come back when requests end.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    let signalled = Instant::now();
    drop(listener);
    draining.0.store(true, Ordering::Relaxed);
    drop(open);
    info!(connections = closing.receiver_count(), "stopping: nothing more is accepted");
    if timeout_at(signalled + IDLE_GRACE, closing.closed()).await.is_err() {
        closing.send_replace(true);
        if timeout_at(signalled + REQUEST_GRACE, closing.closed()).await.is_err() {
            warn!(connections = closing.receiver_count(), "requests are cut off: they take too long");
        }
    }
    Ok(())
}

async fn connection(stream: TcpStream, app: Router, mut closing: watch::Receiver<bool>) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "TCP_NODELAY");
    }
    let service = TowerToHyperService::new(app.map_request(|request: Request<Incoming>| request.map(Body::new)));
    let io = TokioIo::new(Lingering { stream, until: None });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let mut connection = pin!(http.serve_connection(io, service));
    let told = async { closing.wait_for(|closing| *closing).await.is_ok() };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = told => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection ended early");
    }
}

/// A connection that is closed in two steps. A client that is refused half way through its upload is still sending;
/// closing at once would make the system answer that with a reset, which can overtake the refusal.
struct Lingering {
    stream: TcpStream,
    until: Option<Pin<Box<Sleep>>>,
}

impl AsyncRead for Lingering {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.until.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.until = Some(Box::pin(tokio::time::sleep(LINGER)));
        }
        let Self { stream, until } = &mut *self;
        if until.as_mut().is_some_and(|until| until.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Ok(()));
        }
        let mut scrap = [0; 16 * 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut scrap);
            let read = ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                // The client has closed too.
                return Poll::Ready(Ok(()));
            }
        }
    }
}
