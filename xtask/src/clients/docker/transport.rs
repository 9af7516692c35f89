//! The HTTP of bollard's calls, over connections that are counted: bollard reads an answer to its end, however long it is.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bollard::errors::Error;
use bollard::{BollardRequest, ClientVersion, Docker};
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::TIMEOUT;
use super::socket::{Address, Stream};

/// The most bytes of an answer.
const LARGEST_ANSWER: u64 = 64 << 20;

/// The API of the engine at this address. Connects with each call.
pub(super) fn api(address: &Address, version: &ClientVersion) -> Result<Docker, Error> {
    let address = address.clone();
    let transport = move |request| send(address.clone(), request);
    Docker::connect_with_custom_transport(transport, Some("http://docker"), TIMEOUT, version)
}

async fn send(address: Address, mut request: BollardRequest) -> Result<Response<Incoming>, Error> {
    let left = most(request.uri().path());
    let connection = Counted { stream: address.open().await?, left };
    let failed = |error: hyper::Error| Error::from(io::Error::other(error));
    let (mut sender, connection) = http1::handshake(TokioIo::new(connection)).await.map_err(failed)?;
    // It ends with the answer, which gets its errors.
    tokio::spawn(connection.with_upgrades());
    // To a server that is no proxy: the path alone, and the host beside it.
    if let Some(path) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = path.into();
    }
    request.headers_mut().insert(HOST, HeaderValue::from_static("docker"));
    sender.send_request(request).await.map_err(failed)
}

/// The most bytes of the answer to a call. An image is exported as a stream of its layers, and what a container writes is a stream, too:
/// neither is kept.
fn most(path: &str) -> u64 {
    if path.ends_with("/get") || path.ends_with("/logs") { u64::MAX } else { LARGEST_ANSWER }
}

/// A connection that breaks when too much was read from it.
struct Counted {
    stream: Box<dyn Stream>,
    left: u64,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let count = (buffer.filled().len() - before) as u64;
        match self.left.checked_sub(count) {
            Some(left) => self.left = left,
            None => {
                let why = format!("the engine's answer has more than {} MiB", LARGEST_ANSWER >> 20);
                return Poll::Ready(Err(io::Error::other(why)));
            }
        }
        read
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use devservers::http::{HttpServer, Response};

    use super::*;

    #[test]
    fn streams_may_be_of_any_length() {
        assert_eq!(most("/v1.41/containers/0a1b/logs"), u64::MAX);
        assert_eq!(most("/v1.41/images/app/get"), u64::MAX);
        assert_eq!(most("/v1.41/containers/json"), LARGEST_ANSWER);
    }

    #[tokio::test]
    async fn an_answer_without_an_end_is_not_kept() {
        let server = HttpServer::start(|request| match request.path.ends_with("/info") {
            true => Response::new(200).body("application/json", vec![b' '; 1 << 20]).endless(),
            false => Response::new(200).body("application/json", r#"{"Version":"27"}"#),
        });
        let address = format!("tcp://{}", server.address).parse().unwrap();
        let api = api(&address, bollard::API_DEFAULT_VERSION).unwrap();
        assert_eq!(api.version().await.unwrap().version.as_deref(), Some("27"));
        let error = anyhow::Error::from(api.info().await.unwrap_err());
        assert!(format!("{error:#}").contains("more than 64 MiB"), "{error:#}");
    }
}
