//! The output of a program that goes on when this process is killed. It is a file, because a program that writes into a pipe without
//! a reader is ended by the system: OpenTofu would leave what it has made out of its state.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::process::Child;

/// Between two looks: a file gives no notice of new lines.
const PAUSE: Duration = Duration::from_millis(20);
/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// The lines of a file that a program writes.
pub(super) struct Outliving {
    file: File,
    /// Where the next read begins.
    at: u64,
    pending: Vec<u8>,
}

impl Outliving {
    /// The lines of this file, which both streams of the program are.
    pub(super) fn new(file: File) -> Self {
        Self { file, at: 0, pending: Vec::new() }
    }

    /// The next line; none after the last one of a program that has ended. Cancel-safe.
    pub(super) async fn next(&mut self, child: &mut Child) -> Result<Option<String>> {
        loop {
            // Before the read: what it has written until its end is read then.
            let has_ended = child.try_wait().context("look whether the program has ended")?.is_some();
            if let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line[..end]).into_owned()));
            }
            let mut piece = vec![0; PIECE];
            // At a position: the program has moved the file's own to its end.
            let length = self.file.read_at(&mut piece, self.at).context("read the program's output")?;
            self.at += length as u64;
            self.pending.extend_from_slice(&piece[..length]);
            if length > 0 {
                continue;
            }
            if has_ended {
                let rest = std::mem::take(&mut self.pending);
                return Ok((!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned()));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
