//! A client's connection: its time limits, a client that closes its half first, and lingering close.
//!
//! A client may close its side of the connection as soon as its request is sent (`nc -N` does). That looks like a client that
//! has left, so its request goes on for a while, and its answer is sent as long as the kernel takes it. A stream of events, which has no
//! end, ends at once.
//!
//! Lingering close: a client whose upload is rejected half-way is still sending. If the service closed the connection at once,
//! the kernel would respond to those bytes with a reset, and the client could lose the response.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};

use super::activity::{Activity, Phase};

/// How long a connection may be idle. Longer than the usual 60 seconds of load balancers and clients, so that they close first.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// How long a request's head may take, from its first byte on, or from the start of the connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a request goes on whose client has closed its side. One that was received as a whole may still be waited for.
const HALF_CLOSED_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a request goes on whose client has closed its side and of which parts are missing, as far as is known: hyper reads
/// ahead, so they may have arrived.
const CUT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the service waits for a client to take more of an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long the service reads and discards what the client still sends.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// A stream that ends by itself when the client is too slow. It closes in two steps: it shuts down its write side, then reads
/// until the client closes too.
pub struct ClientStream {
    stream: TcpStream,
    activity: Arc<Activity>,
    /// When the client closed its side.
    half_closed: Option<Instant>,
    read_limit: Timer,
    write_limit: Timer,
    /// Runs once the write side is shut down.
    linger_limit: Timer,
}

impl ClientStream {
    pub fn new(stream: TcpStream, activity: Arc<Activity>) -> Self {
        let [read_limit, write_limit, linger_limit] = [Timer(None), Timer(None), Timer(None)];
        Self { stream, activity, half_closed: None, read_limit, write_limit, linger_limit }
    }

    fn poll_progress(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.write_limit.stop();
            return written;
        }
        let deadline = self.write_limit.deadline().unwrap_or_else(|| Instant::now() + WRITE_TIMEOUT);
        ready!(self.write_limit.poll(cx, deadline));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for ClientStream {
    /// To the reader, a client that is too slow is one that has left.
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.half_closed.is_none() {
            let before = buffer.filled().len();
            match Pin::new(&mut self.stream).poll_read(cx, buffer) {
                Poll::Ready(Ok(())) if buffer.filled().len() == before => self.half_closed = Some(Instant::now()),
                Poll::Ready(Ok(())) => {
                    self.activity.received();
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {}
            }
        }
        let deadline = match (self.activity.phase(), self.half_closed) {
            (Phase::Head(since), None) => since + HEAD_TIMEOUT,
            (Phase::Idle(since), None) => since + IDLE_TIMEOUT,
            (Phase::Receiving, Some(since)) => since + CUT_TIMEOUT,
            (Phase::Working, Some(since)) => since + HALF_CLOSED_TIMEOUT,
            // Nothing more is to be had for a client that wants no more of a stream: its place is for another.
            (Phase::Head(_) | Phase::Idle(_) | Phase::Streaming, Some(_)) => return Poll::Ready(Ok(())),
            // If the client has gone, the kernel refuses the answer.
            _ => return Poll::Pending,
        };
        self.read_limit.poll(cx, deadline).map(Ok)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.poll_progress(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.poll_progress(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper calls this when the kernel has all of what it had buffered.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        if self.activity.flushed() {
            // hyper has looked for the next request already, before this one was over.
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let deadline = match self.linger_limit.deadline() {
            Some(deadline) => deadline,
            None => {
                ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
                Instant::now() + LINGER_TIMEOUT
            }
        };
        if self.linger_limit.poll(cx, deadline).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut discarded = [0; 16 * 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut discarded);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                // The client has closed, too.
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// A timer whose memory is kept for the next deadline.
struct Timer(Option<(Pin<Box<Sleep>>, bool)>);

impl Timer {
    /// `None` while it does not run.
    fn deadline(&self) -> Option<Instant> {
        self.0.as_ref().filter(|(_, runs)| *runs).map(|(sleep, _)| sleep.deadline())
    }

    fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let (sleep, runs) = self.0.get_or_insert_with(|| (Box::pin(tokio::time::sleep_until(deadline)), true));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        *runs = true;
        sleep.as_mut().poll(cx)
    }

    fn stop(&mut self) {
        if let Some((_, runs)) = &mut self.0 {
            *runs = false;
        }
    }
}
