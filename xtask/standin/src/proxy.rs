//! What gives containers stable addresses while their versions are replaced: a TCP proxy on a port of this machine, or a
//! host name of the gateway.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// The proxies of this process, by container name.
#[derive(Debug, Default)]
pub struct Proxies(Mutex<HashMap<String, Proxy>>);

#[derive(Debug)]
struct Proxy {
    front: Front,
    target: watch::Sender<Option<Target>>,
}

#[derive(Debug)]
enum Front {
    Port { port: u16, task: AbortHandle },
    Host(String),
}

/// A version of a container that gets requests.
#[derive(Clone, Debug)]
pub struct Target {
    pub address: SocketAddr,
    /// The number of requests that it has not answered yet.
    waiting: Arc<watch::Sender<usize>>,
}

/// A request that a version has not answered yet. Dropped when the answer begins.
pub struct Waiting(Target);

impl Proxies {
    /// Returns the port of a proxy on 127.0.0.1, and starts the proxy if it does not run: on its previous port, or on a
    /// free one. Fails if another process listens on the previous port.
    pub fn open_port(&self, name: &str, previous: Option<u16>) -> Result<u16> {
        let mut proxies = self.lock();
        if let Some(Proxy { front: Front::Port { port, .. }, .. }) = proxies.get(name) {
            return Ok(*port);
        }
        let port = previous.unwrap_or_default();
        let context = || format!("listen on 127.0.0.1:{port}, the address of {name}");
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(context)?;
        listener.set_nonblocking(true).with_context(context)?;
        let port = listener.local_addr().with_context(context)?.port();
        let (target, receiver) = watch::channel(None);
        let serving = tokio::spawn(serve(TcpListener::from_std(listener).with_context(context)?, receiver));
        let front = Front::Port { port, task: serving.abort_handle() };
        proxies.insert(name.to_owned(), Proxy { front, target });
        Ok(port)
    }

    /// Lets the gateway find the container by its host name.
    pub fn open_host(&self, name: &str, host: &str) {
        let new = || Proxy { front: Front::Host(host.to_owned()), target: watch::Sender::new(None) };
        self.lock().entry(name.to_owned()).or_insert_with(new);
    }

    /// The name of the container that has this host name.
    pub fn by_host(&self, host: &str) -> Option<String> {
        let is_host = |proxy: &Proxy| matches!(&proxy.front, Front::Host(own) if own == host);
        self.lock().iter().find(|(_, proxy)| is_host(proxy)).map(|(name, _)| name.clone())
    }

    /// Begins a request to the current version of a container. None if none is up.
    pub fn begin(&self, name: &str) -> Option<Waiting> {
        // Under the lock: a version that is replaced now either has this request or does not get it.
        let proxies = self.lock();
        let target = proxies.get(name)?.target.borrow().clone()?;
        target.waiting.send_modify(|count| *count += 1);
        Some(Waiting(target))
    }

    /// Forwards new connections to `address`, and returns the previous target if it is another. Existing connections stay
    /// where they are.
    pub fn set_target(&self, name: &str, address: SocketAddr) -> Option<Target> {
        let proxies = self.lock();
        let proxy = proxies.get(name)?;
        if proxy.target.borrow().as_ref().is_some_and(|current| current.address == address) {
            return None;
        }
        proxy.target.send_replace(Some(Target { address, waiting: Arc::default() }))
    }

    pub fn close(&self, name: &str) {
        if let Some(Proxy { front: Front::Port { task, .. }, .. }) = self.lock().remove(name) {
            task.abort();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Proxy>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Target {
    /// Waits until it has answered all requests of the gateway, but not longer than this.
    pub async fn answered(&self, limit: Duration) {
        let mut waiting = self.waiting.subscribe();
        // After the limit, the version is stopped all the same.
        tokio::time::timeout(limit, waiting.wait_for(|count| *count == 0)).await.ok();
    }
}

impl Waiting {
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.send_modify(|count| *count -= 1);
    }
}

async fn serve(listener: TcpListener, target: watch::Receiver<Option<Target>>) {
    loop {
        let Ok((mut client, _)) = listener.accept().await else { continue };
        let target = target.borrow().as_ref().map(|target| target.address);
        tokio::spawn(async move {
            // Without a reachable target, the client's connection is closed.
            let mut server = TcpStream::connect(target?).await.ok()?;
            copy_bidirectional(&mut client, &mut server).await.ok()
        });
    }
}
