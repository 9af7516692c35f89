//! The standard output of a running program, as a stream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::process::ChildStdout;

/// The standard output of a running program.
pub struct Output {
    pub(super) stdout: ChildStdout,
    pub(super) end: End,
}

/// How a program ended, if it has.
pub(super) enum End {
    Awaited(Pin<Box<dyn Future<Output = std::io::Result<()>> + Send>>),
    Known(std::io::Result<()>),
}

impl AsyncRead for Output {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        // Reads standard error meanwhile, or a program that writes much of it would block.
        if let End::Awaited(end) = &mut self.end
            && let Poll::Ready(ended) = end.as_mut().poll(context)
        {
            self.end = End::Known(ended);
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stdout).poll_read(context, buffer))?;
        if buffer.filled().len() > before || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        match &mut self.end {
            End::Awaited(_) => Poll::Pending,
            End::Known(ended) => Poll::Ready(std::mem::replace(ended, Ok(()))),
        }
    }
}
