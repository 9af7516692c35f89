//! The addresses of containers: they stay while containers are replaced behind them, as those of a cloud do.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as Listener};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// All addresses that this process serves, by what is behind them. They end with it.
#[derive(Debug, Default)]
pub struct Gateways(Mutex<HashMap<String, Gateway>>);

#[derive(Debug)]
struct Gateway {
    port: u16,
    to: watch::Sender<Option<SocketAddr>>,
    task: AbortHandle,
}

impl Gateways {
    /// The port of this machine's loopback that stands before something: the one that it has had, else a free one. Fails
    /// where somebody else has taken it meanwhile.
    pub fn open(&self, name: &str, had: Option<u16>) -> Result<u16> {
        let mut all = self.all();
        if let Some(open) = all.get(name) {
            return Ok(open.port);
        }
        let had = had.unwrap_or_default();
        let said = || format!("listen on 127.0.0.1:{had}, the address of {name}");
        let listener = Listener::bind((Ipv4Addr::LOCALHOST, had)).with_context(said)?;
        listener.set_nonblocking(true).with_context(said)?;
        let port = listener.local_addr().with_context(said)?.port();
        let (to, target) = watch::channel(None);
        let serving = tokio::spawn(serve(TcpListener::from_std(listener).with_context(said)?, target));
        all.insert(name.to_owned(), Gateway { port, to, task: serving.abort_handle() });
        Ok(port)
    }

    /// Who connects from now on is led there.
    pub fn lead(&self, name: &str, to: SocketAddr) {
        if let Some(gateway) = self.all().get(name) {
            gateway.to.send_replace(Some(to));
        }
    }

    /// Nobody answers there any more.
    pub fn close(&self, name: &str) {
        if let Some(gateway) = self.all().remove(name) {
            gateway.task.abort();
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Gateway>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(listener: TcpListener, target: watch::Receiver<Option<SocketAddr>>) {
    loop {
        let Ok((mut client, _)) = listener.accept().await else { continue };
        let to = *target.borrow();
        tokio::spawn(async move {
            // Who finds nobody is hung up on, and sees that.
            let mut server = TcpStream::connect(to?).await.ok()?;
            copy_bidirectional(&mut client, &mut server).await.ok()
        });
    }
}
