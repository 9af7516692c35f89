//! Sends the requests of the public port to a service that opens a port of its own, as the servers of most languages do.
//!
//! The relay speaks HTTP/1.1, because only so it knows where a request ends. The next request of a kept connection goes to the
//! release that serves then, and an old release is told to stop when none of its requests is in progress any more: no request
//! fails at a switch, whatever the service does at SIGTERM. An upgraded connection, such as a WebSocket, becomes a tunnel.

mod backend;
mod body;
mod exchange;

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::process::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;

pub(super) use self::backend::Backend;
use self::exchange::Client;

/// How long a client may take to send the head of a request, and how long a kept connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// How long a request waits for a service that is just being started again.
const PATIENCE: Duration = Duration::from_secs(30);

/// After a failed `accept`: the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// The clients of the public port. They wait for a service that is started again.
    Public,
    /// The deploy. It is told at once that the service does not listen yet.
    Gate,
}

/// Sends requests to one backend, which may change.
pub(super) struct Relay {
    audience: Audience,
    to: watch::Sender<Option<Rc<Backend>>>,
}

/// Descriptors that the supervisor needs beside those of connections, which take two each.
const OTHER_FILES: u64 = 124;

/// Accepts connections until it is dropped. Those that it has accepted go on.
pub(super) struct Accepting {
    task: JoinHandle<()>,
    listener: std::net::TcpListener,
    was_blocking: bool,
}

impl Relay {
    pub(super) fn new(audience: Audience, backend: Option<Rc<Backend>>) -> Rc<Self> {
        Rc::new(Self { audience, to: watch::Sender::new(backend) })
    }

    /// Sends every request that begins from now on to this backend. With none, connections are closed, each after the
    /// request that is in progress.
    pub(super) fn point_to(&self, backend: Option<Rc<Backend>>) {
        self.to.send_replace(backend);
    }

    /// Accepts on this socket, which is non-blocking meanwhile.
    pub(super) fn accept(self: &Rc<Self>, listener: std::net::TcpListener) -> io::Result<Accepting> {
        let was_blocking = !fcntl_getfl(&listener)?.contains(OFlags::NONBLOCK);
        listener.set_nonblocking(true)?;
        let (relay, accepting) = (Rc::clone(self), TcpListener::from_std(listener.try_clone()?)?);
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX).saturating_sub(OTHER_FILES) / 2;
        // Others wait in the queue. The supervisor must be able to start a process and to answer a deploy, however many there are.
        let places =
            Arc::new(Semaphore::new(usize::try_from(files).unwrap_or_default().clamp(1, Semaphore::MAX_PERMITS)));
        let task = tokio::task::spawn_local(async move {
            while let Ok(place) = Arc::clone(&places).acquire_owned().await {
                match accepting.accept().await {
                    Ok((stream, peer)) => drop(tokio::task::spawn_local(serve(Rc::clone(&relay), stream, peer, place))),
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                }
            }
        });
        Ok(Accepting { task, listener, was_blocking })
    }

    /// The backend of a request that begins now.
    pub(super) fn backend(&self) -> Option<Rc<Backend>> {
        self.to.borrow().clone()
    }

    /// How long a request waits for a backend that does not listen.
    fn patience(&self) -> Duration {
        match self.audience {
            Audience::Public => PATIENCE,
            Audience::Gate => Duration::ZERO,
        }
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.task.abort();
        // All processes that hold the socket share its mode.
        if self.was_blocking {
            self.listener.set_nonblocking(false).ok();
        }
    }
}

/// Answers the requests of one connection.
async fn serve(relay: Rc<Relay>, stream: TcpStream, peer: SocketAddr, _place: OwnedSemaphorePermit) {
    stream.set_nodelay(true).ok();
    let client = Client { relay: Rc::clone(&relay), peer: peer.ip(), kept: RefCell::default() };
    let answer = service_fn(async |request| Ok::<_, Infallible>(client.answer(request).await));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let connection = builder.serve_connection(TokioIo::new(stream), answer).with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let mut backends = relay.to.subscribe();
    loop {
        tokio::select! {
            // It fails where the client cuts it: nothing to do.
            ended = connection.as_mut() => return drop(ended),
            changed = backends.changed() => {
                // A service may wait for its idle connections to be closed before it ends.
                drop(client.kept.take());
                if changed.is_err() || backends.borrow_and_update().is_none() {
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}
