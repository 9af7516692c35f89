//! A running process, and what it writes.

use std::process::ExitStatus;

use anyhow::Result;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Child;

/// A process and its group. Dropping it terminates the group.
pub(super) struct Running {
    pub(super) child: Child,
    pub(super) group: Option<Pid>,
}

impl Running {
    pub(super) async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.group = None;
        Ok(status)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // Fails if the group has ended.
            kill_process_group(group, Signal::TERM).ok();
        }
    }
}

/// Lines of a stream. A carriage return ends one, too.
pub(super) struct Lines<R> {
    reader: Option<R>,
    pending: Vec<u8>,
    pub(super) ended: bool,
}

impl<R: AsyncRead + Unpin> Lines<BufReader<R>> {
    pub(super) fn new(reader: Option<BufReader<R>>) -> Self {
        Self { ended: reader.is_none(), reader, pending: Vec::new() }
    }

    /// Cancel-safe: partial lines stay in `pending`.
    pub(super) async fn next(&mut self) -> Result<Option<String>> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        loop {
            let available = reader.fill_buf().await?;
            if available.is_empty() {
                self.ended = true;
                let rest = std::mem::take(&mut self.pending);
                return Ok((!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned()));
            }
            if let Some(end) = available.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
                self.pending.extend_from_slice(&available[..end]);
                reader.consume(end + 1);
                let line = std::mem::take(&mut self.pending);
                if line.is_empty() {
                    continue;
                }
                return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
            }
            let length = available.len();
            self.pending.extend_from_slice(available);
            reader.consume(length);
        }
    }
}

pub(super) async fn read_all(stream: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) -> std::io::Result<()> {
    if let Some(mut stream) = stream {
        tokio::io::AsyncReadExt::read_to_end(&mut stream, into).await?;
    }
    Ok(())
}
