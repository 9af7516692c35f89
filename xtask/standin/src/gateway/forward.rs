//! Forwards a request to the container of its host name.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Gateway;
use crate::http::{Body, text};

/// How long a container may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// The headers that concern one connection (RFC 9110, 7.6.1).
const HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    UPGRADE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Answers what the container answers. Each request has its own connection to the container, so a version that stops has no
/// unused ones that a request could be lost on.
pub async fn forward(gateway: &Gateway, client: SocketAddr, request: Request<Incoming>) -> Response<Body> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).or(request.uri().host());
    let host = host.unwrap_or_default().to_lowercase();
    let host = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
    let name = match gateway.container(host) {
        Ok(Some(name)) => name,
        Ok(None) => return text(StatusCode::NOT_FOUND, "no container has this host name\n"),
        Err(error) => return text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error:#}\n")),
    };
    let Some(waiting) = gateway.services.proxies.begin(&name) else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "no version of the container is up\n");
    };
    let stream = match timeout(CONNECT, TcpStream::connect(waiting.address())).await {
        Ok(Ok(stream)) => stream,
        _ => return text(StatusCode::SERVICE_UNAVAILABLE, "the container accepts no connection\n"),
    };
    match send(stream, client, request).await {
        Ok(response) => response,
        Err(error) => text(StatusCode::BAD_GATEWAY, &format!("the container did not answer: {error:#}\n")),
    }
}

async fn send(stream: TcpStream, client: SocketAddr, mut request: Request<Incoming>) -> Result<Response<Body>> {
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.context("connect")?;
    // It ends when the answer has been read, or is not wanted any more.
    tokio::spawn(connection);
    remove_hop_by_hop(request.headers_mut());
    let headers = request.headers_mut();
    headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
    headers.insert("x-forwarded-for", HeaderValue::try_from(client.ip().to_string())?);
    *request.version_mut() = Version::HTTP_11;
    let mut response = sender.send_request(request).await?;
    remove_hop_by_hop(response.headers_mut());
    Ok(response.map(BodyExt::boxed))
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}
