//! The address of a daemon, and connections to it.

use std::io;
use std::str::FromStr;
use std::time::Duration;

use camino::Utf8PathBuf;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

/// The most bytes of a response's head.
const MAX_HEAD: usize = 16 * 1024;

/// Limit for opening a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Limit for the first answer of a daemon, which it gives without any work. A busy machine takes seconds.
pub const FIRST_ANSWER: Duration = Duration::from_secs(20);

/// The address of a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A socket file.
    Unix(Utf8PathBuf),
    /// `host:port`, unencrypted.
    Tcp(String),
}

/// A connection to a daemon.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An address that is neither a socket nor a host.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is neither unix:///path/of/a.sock nor tcp://host:port")]
pub struct InvalidAddress(String);

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        match text.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(("tcp" | "http", host)) if host.contains(':') => Ok(Self::Tcp(host.trim_end_matches('/').to_owned())),
            _ => Err(InvalidAddress(text.to_owned())),
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{path}"),
            Self::Tcp(host) => write!(f, "tcp://{host}"),
        }
    }
}

impl Address {
    /// Whether it is a socket of this machine. Behind a TCP address there can be any machine, behind this one's too.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    /// A new connection.
    pub async fn open(&self) -> io::Result<Box<dyn Stream>> {
        let open = async {
            Ok(match self {
                Self::Unix(path) => Box::new(UnixStream::connect(path.as_std_path()).await?) as Box<dyn Stream>,
                Self::Tcp(host) => {
                    let stream = TcpStream::connect(host).await?;
                    stream.set_nodelay(true)?;
                    Box::new(stream)
                }
            })
        };
        within(CONNECT, "no connection", open).await
    }

    /// A new connection that is upgraded to unencrypted HTTP/2: by a `POST` of this path, which the daemon answers with `101`.
    /// Any other response is an error of the kind [`io::ErrorKind::Unsupported`] with the response's first line.
    pub async fn upgrade(&self, path: &str, headers: &[(&str, &str)]) -> io::Result<Box<dyn Stream>> {
        let stream = self.open().await?;
        within(FIRST_ANSWER, "no answer", upgraded(stream, path, headers)).await
    }
}

async fn upgraded(mut stream: Box<dyn Stream>, path: &str, headers: &[(&str, &str)]) -> io::Result<Box<dyn Stream>> {
    let mut request = format!("POST {path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("Content-Length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    // Byte by byte, because the bytes after the head belong to HTTP/2.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > MAX_HEAD {
            return Err(io::Error::other(format!(
                "the head of the response to POST {path} is larger than {MAX_HEAD} bytes"
            )));
        }
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let first = head.lines().next().unwrap_or_default();
    match first.split(' ').nth(1) {
        Some("101") => Ok(stream),
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, format!("the response to POST {path} was \"{first}\""))),
    }
}

/// The result of a future that ends in time. `what` is missing otherwise.
async fn within<T>(limit: Duration, what: &str, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, format!("{what} within {} s", limit.as_secs()));
    tokio::time::timeout(limit, work).await.map_err(|_| late())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_socket_or_a_host() {
        assert_eq!("unix:///run/b.sock".parse::<Address>().unwrap(), Address::Unix("/run/b.sock".into()));
        assert_eq!("tcp://127.0.0.1:1234".parse::<Address>().unwrap(), Address::Tcp("127.0.0.1:1234".into()));
        for wrong in ["", "/var/run/docker.sock", "unix://relative", "ssh://host:22", "tcp://host"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }
}
