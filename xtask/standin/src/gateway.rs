//! The platform's gateway: a TLS server that finds the container of a request by its host name.

mod authority;
mod forward;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;

pub use self::authority::Authority;
use crate::http;
use crate::platform::Platform;
use crate::services::Services;

/// How long a client may take for the TLS handshake.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Gateway {
    pub authority: Authority,
    pub services: Arc<Services>,
    /// Whose custom domains are served. None without Scaleway's schema.
    pub platform: Option<Platform>,
}

impl Gateway {
    /// Serves until the process ends.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let Ok((stream, client)) = listener.accept().await else { continue };
            let gateway = Arc::clone(&self);
            // An error is a client that went away, or that asked for a name without a certificate and got an alert.
            tokio::spawn(async move { gateway.connection(stream, client).await.ok() });
        }
    }

    async fn connection(&self, stream: TcpStream, client: SocketAddr) -> Result<()> {
        stream.set_nodelay(true)?;
        let handshake = async {
            let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
            let name = hello.client_hello().server_name().unwrap_or_default().to_lowercase();
            hello.into_stream(self.certificate(&name)?).await.context("TLS handshake")
        };
        let stream = timeout(PATIENCE, handshake).await??;
        http::serve(stream, |request| forward::forward(self, client, request)).await;
        Ok(())
    }

    /// The certificate of a name: the platform's for the names of containers, and one of its own for a custom domain that is
    /// ready. For any other name, the client gets a TLS alert.
    fn certificate(&self, name: &str) -> Result<Arc<ServerConfig>> {
        if is_platform_host(name) {
            let parent = name.split_once('.').map_or(name, |(_, parent)| parent);
            return self.authority.config(&format!("*.{parent}"));
        }
        match self.container_of_domain(name)? {
            Some(_) => self.authority.config(name),
            None => Ok(self.authority.no_certificate()),
        }
    }

    /// The name of the container that serves a host. None if there is none.
    fn container(&self, host: &str) -> Result<Option<String>> {
        match self.services.proxies.by_host(host) {
            Some(name) => Ok(Some(name)),
            None => self.container_of_domain(host),
        }
    }

    fn container_of_domain(&self, host: &str) -> Result<Option<String>> {
        self.platform.as_ref().map_or(Ok(None), |platform| platform.container_of_domain(host))
    }
}

/// Whether this is a name that the platform gives to containers: `<label>.functions.fnc.<region>.scw.cloud`.
pub fn is_platform_host(name: &str) -> bool {
    let labels: Vec<_> = name.split('.').collect();
    matches!(&labels[..], [own, "functions", "fnc", region, "scw", "cloud"] if !own.is_empty() && !region.is_empty())
}
