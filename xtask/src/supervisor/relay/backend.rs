//! The port that a release has opened, and how many of its requests are in progress.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::rc::Rc;

use tokio::net::TcpStream;
use tokio::sync::watch;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A release, as the relay reaches it.
pub(in crate::supervisor) struct Backend {
    /// None where the requests go to a release that has the public socket.
    pub(super) version: Option<String>,
    address: Cell<SocketAddr>,
    /// Whether the process that runs has answered a request.
    pub(super) has_answered: Cell<bool>,
    in_progress: watch::Sender<usize>,
}

/// Counts a request while it lives.
pub(super) struct InProgress(Rc<Backend>);

impl Backend {
    pub(in crate::supervisor) fn new(version: &str) -> Rc<Self> {
        Self::at(Some(version.to_owned()), SocketAddr::new(LOOPBACK, 0))
    }

    /// The release that accepts on the public socket: for connections that the relay has accepted before it.
    pub(in crate::supervisor) fn public(listen: SocketAddr) -> Rc<Self> {
        let ip = if listen.ip().is_unspecified() { LOOPBACK } else { listen.ip() };
        Self::at(None, SocketAddr::new(ip, listen.port()))
    }

    fn at(version: Option<String>, address: SocketAddr) -> Rc<Self> {
        let (address, has_answered) = (Cell::new(address), Cell::new(false));
        Rc::new(Self { version, address, has_answered, in_progress: watch::Sender::new(0) })
    }

    /// Chooses a free port for the process that is started next.
    pub(in crate::supervisor) fn choose_port(&self) -> io::Result<u16> {
        loop {
            let free = TcpListener::bind((LOOPBACK, 0))?;
            let address = free.local_addr()?;
            // The service may listen on either address. What another program answers there must not count as its.
            match TcpListener::bind((Ipv6Addr::LOCALHOST, address.port())) {
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                // Also where this machine has no IPv6.
                _ => {
                    self.address.set(address);
                    self.has_answered.set(false);
                    return Ok(address.port());
                }
            }
        }
    }

    /// The port of the process that runs.
    pub(super) fn port(&self) -> u16 {
        self.address.get().port()
    }

    /// A connection to its port, whichever of the loopback addresses it has opened.
    pub(super) async fn connect(&self) -> io::Result<TcpStream> {
        match TcpStream::connect(self.address.get()).await {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                TcpStream::connect((Ipv6Addr::LOCALHOST, self.port())).await.map_err(|_| error)
            }
            result => result,
        }
    }

    pub(super) fn begin(self: &Rc<Self>) -> InProgress {
        self.in_progress.send_modify(|count| *count += 1);
        InProgress(Rc::clone(self))
    }

    /// Resolves when no request is in progress.
    pub(in crate::supervisor) async fn idle(&self) {
        // Cannot fail: `self` owns the sender.
        self.in_progress.subscribe().wait_for(|count| *count == 0).await.ok();
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.in_progress.send_modify(|count| *count -= 1);
    }
}
