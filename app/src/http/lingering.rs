//! Lingering close: a response that ends an upload early reaches the client.
//!
//! A client whose upload is rejected half-way is still sending. If the service closed the connection at once, the kernel
//! would respond to those bytes with a reset, and the client could lose the response.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Sleep,
};

/// How long the service reads and discards what the client still sends.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// A stream that closes in two steps: it shuts down its write side, then reads until the client closes too.
pub struct LingeringStream {
    stream: TcpStream,
    /// Set once the write side is shut down.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl LingeringStream {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, deadline: None }
    }
}

impl AsyncRead for LingeringStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for LingeringStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deadline.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.deadline = Some(Box::pin(tokio::time::sleep(LINGER_TIMEOUT)));
        }
        let Self { stream, deadline } = &mut *self;
        if deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Ok(()));
        }
        let mut discarded = [0; 16 * 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut discarded);
            let read = ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                // The client has closed, too.
                return Poll::Ready(Ok(()));
            }
        }
    }
}
