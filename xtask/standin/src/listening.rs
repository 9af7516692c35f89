//! The servers of this process beside the providers', each configured by an environment variable: `STANDIN_GATEWAY` with
//! `STANDIN_CA`, `STANDIN_DNS` and `STANDIN_API`. Their addresses are in `addresses.json` of the state folder.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use aws_sdk_route53::Client;
use serde_json::json;
use tokio::net::{TcpListener, UdpSocket};

use crate::dns::{self, Resolver, Zones};
use crate::gateway::{Authority, Gateway};
use crate::platform::Platform;
use crate::services::{Services, variable};

#[derive(Default)]
pub struct Listening {
    gateway: Option<(TcpListener, SocketAddr, Authority)>,
    dns: Option<(UdpSocket, TcpListener, SocketAddr)>,
    api: Option<(TcpListener, SocketAddr)>,
}

impl Listening {
    /// Listens at the addresses that the environment has.
    pub async fn from_env() -> Result<Self> {
        let mut all = Self::default();
        if let Some(address) = variable("STANDIN_GATEWAY") {
            let folder = variable("STANDIN_CA").context("STANDIN_GATEWAY also requires STANDIN_CA, a folder")?;
            let (listener, address) = tcp("STANDIN_GATEWAY", &address).await?;
            all.gateway = Some((listener, address, Authority::open(Path::new(&folder))?));
        }
        if let Some(address) = variable("STANDIN_DNS") {
            let (udp, tcp) = dns::listen(parse("STANDIN_DNS", &address)?).await.context("STANDIN_DNS")?;
            let address = udp.local_addr()?;
            all.dns = Some((udp, tcp, address));
        }
        if let Some(address) = variable("STANDIN_API") {
            all.api = Some(tcp("STANDIN_API", &address).await?);
        }
        Ok(all)
    }

    pub fn gateway_address(&self) -> Option<SocketAddr> {
        self.gateway.as_ref().map(|(_, address, _)| *address)
    }

    /// What the DNS server answers. None without one.
    pub fn resolver(&self, route53: Option<Client>) -> Option<Resolver> {
        let (_, _, own) = self.dns.as_ref()?;
        let gateway = self.gateway_address().map(|address| address.ip());
        Some(Resolver { zones: route53.map(Zones::new), gateway, own: own.ip() })
    }

    /// Writes `addresses.json`, and serves until the process ends.
    pub fn serve(self, services: &Arc<Services>, platform: Option<Platform>) -> Result<()> {
        let mut addresses = serde_json::Map::new();
        if let Some((udp, tcp, address)) = self.dns
            && let Some(resolver) = &services.dns
        {
            addresses.insert("dns".to_owned(), json!(address.to_string()));
            tokio::spawn(dns::serve(Arc::clone(resolver), udp, tcp));
        }
        if let Some((listener, address)) = self.api {
            let platform = platform.clone().context("STANDIN_API requires the schema of scaleway/scaleway")?;
            addresses.insert("api".to_owned(), json!(format!("http://{address}")));
            tokio::spawn(platform.serve(listener));
        }
        if let Some((listener, address, authority)) = self.gateway {
            addresses.insert("gateway".to_owned(), json!(address.to_string()));
            addresses.insert("ca".to_owned(), json!(authority.certificate()));
            let gateway = Gateway { authority, services: Arc::clone(services), platform };
            tokio::spawn(Arc::new(gateway).serve(listener));
        }
        let file = services.state.join("addresses.json");
        let temporary = file.with_extension("new");
        fs_err::write(&temporary, serde_json::to_string_pretty(&addresses)?)?;
        fs_err::rename(&temporary, &file)?;
        Ok(())
    }
}

async fn tcp(variable: &str, address: &str) -> Result<(TcpListener, SocketAddr)> {
    let address = parse(variable, address)?;
    let listener = TcpListener::bind(address).await.with_context(|| format!("{variable}: listen on {address}"))?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// Only addresses of this machine: what the servers show is for its users alone.
fn parse(variable: &str, address: &str) -> Result<SocketAddr> {
    let context = || format!("{variable} must be an address with a port, such as 127.0.0.1:0, but is {address:?}");
    let address: SocketAddr = address.parse().with_context(context)?;
    ensure!(address.ip().is_loopback(), "{variable} must be a loopback address, but is {address}");
    Ok(address)
}
