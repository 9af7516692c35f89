//! TCP proxies that give containers stable addresses while their versions are replaced.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    port: u16,
    target: watch::Sender<Option<SocketAddr>>,
    task: AbortHandle,
}

impl Proxies {
    /// Returns the port of a proxy on 127.0.0.1, and starts the proxy if it does not run: on its previous port, or on a
    /// free one. Fails if another process listens on the previous port.
    pub fn open(&self, name: &str, previous: Option<u16>) -> Result<u16> {
        let mut proxies = self.lock();
        if let Some(proxy) = proxies.get(name) {
            return Ok(proxy.port);
        }
        let port = previous.unwrap_or_default();
        let context = || format!("listen on 127.0.0.1:{port}, the address of {name}");
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(context)?;
        listener.set_nonblocking(true).with_context(context)?;
        let port = listener.local_addr().with_context(context)?.port();
        let (target, receiver) = watch::channel(None);
        let serving = tokio::spawn(serve(TcpListener::from_std(listener).with_context(context)?, receiver));
        proxies.insert(name.to_owned(), Proxy { port, target, task: serving.abort_handle() });
        Ok(port)
    }

    /// Forwards new connections to `target`. Existing connections stay where they are.
    pub fn set_target(&self, name: &str, target: SocketAddr) {
        if let Some(proxy) = self.lock().get(name) {
            proxy.target.send_replace(Some(target));
        }
    }

    pub fn close(&self, name: &str) {
        if let Some(proxy) = self.lock().remove(name) {
            proxy.task.abort();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Proxy>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(listener: TcpListener, target: watch::Receiver<Option<SocketAddr>>) {
    loop {
        let Ok((mut client, _)) = listener.accept().await else { continue };
        let target = *target.borrow();
        tokio::spawn(async move {
            // Without a reachable target, the client's connection is closed.
            let mut server = TcpStream::connect(target?).await.ok()?;
            copy_bidirectional(&mut client, &mut server).await.ok()
        });
    }
}
