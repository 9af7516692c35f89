//! `app health`: requests the liveness endpoint of the running service. It serves as the image's HEALTHCHECK command, so
//! that the image needs no curl.

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

const TIMEOUT: Duration = Duration::from_secs(3);

/// In bytes; the rest of a longer line is not read.
const MAX_STATUS_LINE: u64 = 256;

/// Requests liveness from the service at `HOST` and `PORT`.
///
/// # Errors
/// If the service does not respond with 200 within 3 seconds.
pub async fn run(settings: &Settings) -> anyhow::Result<()> {
    let address = SocketAddr::new(connectable(settings.host), settings.port);
    let status = timeout(TIMEOUT, request_status_line(address)).await.context("no response within 3 seconds").flatten();
    let status = status.with_context(|| format!("health check of {address} failed"))?;
    ensure!(status.starts_with("HTTP/1.1 200 "), "health check of {address} failed: the response is {status:?}");
    Ok(())
}

/// A service that listens on all addresses is reachable at the loopback address.
fn connectable(host: IpAddr) -> IpAddr {
    match host {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        host => host,
    }
}

async fn request_status_line(address: SocketAddr) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /api/health/liveness HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut line = String::new();
    BufReader::new(stream).take(MAX_STATUS_LINE).read_line(&mut line).await?;
    Ok(line.trim_end().to_owned())
}
