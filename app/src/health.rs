//! `app health`: asks the service that runs beside it whether it is alive. Container engines have a command for that, and
//! an image with this one needs no other.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, ensure};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use crate::settings::Settings;

/// A service that takes longer to say that it is alive is not.
const PATIENCE: Duration = Duration::from_secs(3);

/// The longest status line that is read, in bytes.
const STATUS_LINE: u64 = 256;

/// Asks for liveness at the port of these settings.
///
/// # Errors
/// When nothing answers there within 3 seconds, or something else than "alive".
pub async fn ask(settings: &Settings) -> anyhow::Result<()> {
    let address = SocketAddr::new(reachable(settings.host), settings.port);
    let status = timeout(PATIENCE, status_line(address)).await.context("no answer within 3 seconds").flatten();
    let status = status.with_context(|| format!("asking the service at {address} whether it is alive"))?;
    ensure!(
        status.starts_with("HTTP/1.1 200 "),
        "the service at {address} answers {status:?} when asked whether it is alive"
    );
    Ok(())
}

/// What listens on all addresses is reached on the loopback one.
fn reachable(host: IpAddr) -> IpAddr {
    match host {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        host => host,
    }
}

async fn status_line(address: SocketAddr) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /api/health/liveness HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut line = String::new();
    BufReader::new(stream).take(STATUS_LINE).read_line(&mut line).await?;
    Ok(line.trim_end().to_owned())
}
