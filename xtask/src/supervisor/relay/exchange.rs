//! One request and its answer.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::backend::{Backend, InProgress};
use super::body::Relayed;
use super::{Audience, Relay};
use crate::clients::service::VERSION;

/// Between two looks whether a service listens that is just being started.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Headers of one connection, not of the request or the answer (RFC 9110, 7.6.1).
const OF_CONNECTION: [HeaderName; 5] = [
    header::CONNECTION,
    header::TE,
    header::TRANSFER_ENCODING,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// A client's connection.
pub(super) struct Client {
    pub(super) relay: Rc<Relay>,
    pub(super) peer: IpAddr,
    /// The connection to a backend that the last request went over.
    pub(super) kept: RefCell<Option<Kept>>,
}

/// A connection to a process of a backend.
pub(super) struct Kept {
    backend: Rc<Backend>,
    port: u16,
    sender: SendRequest<Relayed>,
}

impl Client {
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Relayed> {
        if request.method() == Method::CONNECT {
            return own(StatusCode::METHOD_NOT_ALLOWED, "CONNECT is for proxies, and this is a service.\n".to_owned());
        }
        self.send(request).await.unwrap_or_else(|refusal| refusal)
    }

    async fn send(&self, mut request: Request<Incoming>) -> Result<Response<Relayed>, Response<Relayed>> {
        let upgrade = request.headers().contains_key(header::UPGRADE).then(|| hyper::upgrade::on(&mut request));
        self.prepare(&mut request, upgrade.is_some());
        let (head, body) = request.into_parts();
        // It can be sent again where its connection was closed before an answer began (RFC 9110, 9.2.2).
        let again = (head.method.is_safe() && body.is_end_stream() && upgrade.is_none()).then(|| head.clone());
        let body = if body.is_end_stream() { Relayed::Own(None) } else { Relayed::Request(body) };
        let mut request = Request::from_parts(head, body);
        let deadline = Instant::now() + self.relay.patience();
        loop {
            let (mut kept, in_progress, is_new) = self.connection().await?;
            match kept.sender.try_send_request(request).await {
                Ok(mut answer) => {
                    kept.backend.has_answered.set(true);
                    let version = kept.backend.version.as_deref().map(HeaderValue::from_str);
                    if answer.status() == StatusCode::SWITCHING_PROTOCOLS
                        && let Some(upgrade) = upgrade
                    {
                        tunnel(upgrade, hyper::upgrade::on(&mut answer), in_progress);
                        return Ok(answer.map(|_| Relayed::Own(None)));
                    }
                    remove_of_connection(answer.headers_mut(), false);
                    if let Some(Ok(version)) = version {
                        answer.headers_mut().insert(VERSION, version);
                    }
                    // A service may wait for its idle connections to be closed before it ends.
                    if self.relay.backend().is_some_and(|now| Rc::ptr_eq(&now, &kept.backend)) {
                        self.kept.replace(Some(kept));
                    }
                    return Ok(answer.map(|body| Relayed::Answer { body, _in_progress: in_progress }));
                }
                Err(mut error) => {
                    let unsent = error.take_message();
                    let next = unsent.or_else(|| Some(Request::from_parts(again.clone()?, Relayed::Own(None))));
                    // A Docker engine accepts for a container before the service in it listens, and closes then.
                    let is_starting = is_new
                        && matches!(self.relay.audience, Audience::Public)
                        && !kept.backend.has_answered.get()
                        && Instant::now() < deadline;
                    match next {
                        // The service has closed a connection that was idle.
                        Some(next) if !is_new => request = next,
                        Some(next) if is_starting => {
                            drop(in_progress);
                            sleep(LOOK_PAUSE).await;
                            request = next;
                        }
                        _ => {
                            let text =
                                format!("The service ended the connection without an answer: {}.\n", error.error());
                            return Err(own(StatusCode::BAD_GATEWAY, text));
                        }
                    }
                }
            }
        }
    }

    /// Makes the client's request one of the relay.
    fn prepare(&self, request: &mut Request<Incoming>, is_upgrade: bool) {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        if let Ok(uri) = path.parse::<Uri>() {
            *request.uri_mut() = uri;
        }
        *request.version_mut() = Version::HTTP_11;
        remove_of_connection(request.headers_mut(), is_upgrade);
        if request.body().size_hint().exact().is_none() {
            // hyper sends the body of a GET only so.
            request.headers_mut().insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        // A request of HTTP/1.0 may have none, and one of HTTP/1.1 must.
        request.headers_mut().entry(header::HOST).or_insert(HeaderValue::from_static("localhost"));
        if let Ok(peer) = HeaderValue::from_str(&self.peer.to_canonical().to_string()) {
            // A list: what a proxy in front has said stays before it.
            request.headers_mut().append(FORWARDED_FOR, peer);
        }
    }

    /// A connection to the backend that serves now, and whether it is a new one.
    async fn connection(&self) -> Result<(Kept, InProgress, bool), Response<Relayed>> {
        let deadline = Instant::now() + self.relay.patience();
        loop {
            let Some(backend) = self.relay.backend() else { return Err(self.unavailable(None)) };
            let (in_progress, port) = (backend.begin(), backend.port());
            let kept = self.kept.take().filter(|kept| Rc::ptr_eq(&kept.backend, &backend) && kept.port == port);
            if let Some(mut kept) = kept
                && kept.sender.ready().await.is_ok()
            {
                return Ok((kept, in_progress, false));
            }
            match connect(&backend).await {
                Ok(sender) => return Ok((Kept { backend, port, sender }, in_progress, true)),
                Err(error) if error.kind() == ErrorKind::ConnectionRefused && Instant::now() < deadline => {
                    drop(in_progress);
                    sleep(LOOK_PAUSE).await;
                }
                Err(_) => return Err(self.unavailable(Some(&backend))),
            }
        }
    }

    /// The service does not listen.
    fn unavailable(&self, backend: Option<&Backend>) -> Response<Relayed> {
        let text = match (self.relay.audience, backend) {
            (Audience::Gate, Some(backend)) => {
                let detail = format!("the service does not listen on port {} yet, which it was given", backend.port());
                let checks = [json!({ "name": "port", "status": "failed", "detail": detail })];
                json!({ "status": "unready", "version": backend.version, "checks": checks }).to_string()
            }
            _ => "The service is not running. Try again in a moment.\n".to_owned(),
        };
        own(StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

async fn connect(backend: &Backend) -> io::Result<SendRequest<Relayed>> {
    let stream = backend.connect().await?;
    stream.set_nodelay(true).ok();
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // Its fault is one of the request that it carries.
    tokio::task::spawn_local(async move { connection.with_upgrades().await.ok() });
    Ok(sender)
}

/// Copies both directions of an upgraded connection until both have ended.
fn tunnel(client: OnUpgrade, service: OnUpgrade, in_progress: InProgress) {
    tokio::task::spawn_local(async move {
        if let Ok((client, service)) = tokio::try_join!(client, service) {
            tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(service)).await.ok();
        }
        drop(in_progress);
    });
}

fn remove_of_connection(headers: &mut HeaderMap, is_upgrade: bool) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&OF_CONNECTION).filter(|name| !is_upgrade || **name != header::UPGRADE) {
        headers.remove(name);
    }
    if is_upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    } else {
        headers.remove(header::UPGRADE);
    }
}

fn own(status: StatusCode, text: String) -> Response<Relayed> {
    let mut response = Response::new(Relayed::text(text));
    *response.status_mut() = status;
    response
}
