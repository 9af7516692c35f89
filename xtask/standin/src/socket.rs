//! The Unix sockets of the providers. No other user of this machine reaches them: a provider starts containers for all who do.

use std::io::Result;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use anyhow::Context as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio_stream::wrappers::UnixListenerStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Request;
use tonic::transport::server::{Connected, TlsConnectInfo};

/// The longest path of a socket on every system (unix(7); sys/un.h of macOS).
const LONGEST: usize = 103;

/// A connection. The client of a Unix socket has no address that tells it from others, so it gets a number.
pub struct Connection {
    stream: UnixStream,
    number: Number,
}

/// The number of a connection of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Number(u64);

/// Listens at a socket of this name in the folder, which only this user may enter then: the connections, and the socket's path.
pub fn listen(folder: &Path, name: &str) -> anyhow::Result<(impl Stream<Item = Result<Connection>> + use<>, PathBuf)> {
    let context = || format!("listen at {name} in {}", folder.display());
    fs_err::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).with_context(context)?;
    let path = short(folder)?.join(name);
    // Of a process that was killed.
    fs_err::remove_file(&path).ok();
    let listener = UnixListener::bind(&path).with_context(context)?;
    Ok((
        UnixListenerStream::new(listener).map(|stream| Ok(Connection { stream: stream?, number: Number::next() })),
        path,
    ))
}

/// The connection that a request came by.
pub fn number<T>(request: &Request<T>) -> Option<Number> {
    let extensions = request.extensions();
    let by_tls = || extensions.get::<TlsConnectInfo<Number>>().map(|info| *info.get_ref());
    extensions.get::<Number>().copied().or_else(by_tls)
}

/// The folder, by a path that is short enough for a socket in it: on Linux, this process's descriptor of it.
fn short(folder: &Path) -> anyhow::Result<PathBuf> {
    const LONGEST_NAME: usize = 32;
    if folder.as_os_str().len() + LONGEST_NAME <= LONGEST || !cfg!(target_os = "linux") {
        return Ok(folder.to_owned());
    }
    use std::os::fd::IntoRawFd as _;
    // Open until this process ends.
    let open = fs_err::File::open(folder)?.into_parts().0.into_raw_fd();
    Ok(PathBuf::from(format!("/proc/{}/fd/{open}", std::process::id())))
}

impl Number {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Connected for Connection {
    type ConnectInfo = Number;

    fn connect_info(&self) -> Number {
        self.number
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_socket_is_in_a_folder_of_this_user_alone_however_long_its_path_is() {
        let root = tempfile::tempdir().unwrap();
        for name in ["short", &"long".repeat(40)] {
            let folder = root.path().join(name);
            fs_err::create_dir(&folder).unwrap();
            fs_err::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
            // The second finds what the first has left.
            drop(listen(&folder, "aws.sock").unwrap());
            let (connections, path) = listen(&folder, "aws.sock").unwrap();
            let mut connections = Box::pin(connections);
            assert!(path.as_os_str().len() <= LONGEST, "{}", path.display());
            assert_eq!(fs_err::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
            let (mut one, _other) = tokio::try_join!(UnixStream::connect(&path), UnixStream::connect(&path)).unwrap();
            one.write_all(b"x").await.unwrap();
            let (first, second) = (connections.next().await.unwrap(), connections.next().await.unwrap());
            let (mut first, second) = (first.unwrap(), second.unwrap());
            assert_ne!(first.connect_info(), second.connect_info());
            assert_eq!(first.read_u8().await.unwrap(), b'x');
        }
    }
}
