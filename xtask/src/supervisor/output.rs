//! The output of the children, by lines: redacted, appended to the service's log, and the last lines kept in memory.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::log::RotatedLog;
use crate::secrets::Redactor;

/// Lines that an [`Exit`](super::Exit) repeats.
const TAIL: usize = 30;

/// Lines kept of each instance.
const RING: usize = 200;

/// Bytes kept of each of these lines.
const RING_LINE: usize = 4 << 10;

/// The length at which a line is cut.
const MAX_LINE: usize = 64 << 10;

/// How much of a longer line is read: a secret across the cut is redacted before the line is cut.
const LOOKAHEAD: usize = 16 << 10;

/// Bytes read from a child before other tasks run.
const CHUNK: usize = 64 << 10;

/// The last lines of one instance.
#[derive(Clone, Default)]
pub(super) struct Ring {
    lines: Rc<RefCell<VecDeque<String>>>,
}

impl Ring {
    /// The lines for an [`Exit`](super::Exit).
    pub(super) fn tail(&self) -> Vec<String> {
        let lines = self.lines.borrow();
        lines.iter().skip(lines.len().saturating_sub(TAIL)).cloned().collect()
    }

    fn push(&self, line: &str) {
        let mut lines = self.lines.borrow_mut();
        if lines.len() == RING {
            lines.pop_front();
        }
        lines.push_back(cut(line, RING_LINE).to_owned());
    }
}

/// The destinations of an instance's lines.
#[derive(Clone)]
pub(super) struct Sink {
    /// What each line in the log begins with.
    pub(super) label: Rc<RefCell<String>>,
    pub(super) ring: Ring,
    pub(super) log: Rc<RefCell<RotatedLog>>,
    pub(super) redactor: Redactor,
}

/// Reads a stream to its end. Keeps at most one chunk and one line in memory; a child that writes faster has to wait.
pub(super) async fn follow(mut stream: impl AsyncRead + Unpin, sink: Sink) {
    let mut chunk = vec![0; CHUNK];
    let mut lines = LineCutter::default();
    let mut ready = Vec::new();
    loop {
        let length = match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(length) => length,
        };
        lines.feed(&chunk[..length], |line| sink.take(line, &mut ready));
        sink.log.borrow_mut().write(&ready);
        ready.clear();
        // A stream that is always readable would block the other tasks of this thread.
        tokio::task::yield_now().await;
    }
    lines.finish(|line| sink.take(line, &mut ready));
    sink.log.borrow_mut().write(&ready);
}

impl Sink {
    /// Writes a line of the supervisor's own into the log.
    pub(super) fn note(&self, what: fmt::Arguments<'_>) {
        self.log.borrow_mut().write(format!("{}({what})\n", self.label.borrow()).as_bytes());
    }

    fn take(&self, line: &[u8], ready: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(line);
        let redacted: Cow<'_, str> = self.redactor.redact(&text);
        let line = cut(&redacted, MAX_LINE);
        self.ring.push(line);
        ready.extend_from_slice(self.label.borrow().as_bytes());
        ready.extend_from_slice(line.as_bytes());
        ready.push(b'\n');
    }
}

#[derive(Default)]
struct LineCutter {
    pending: Vec<u8>,
}

impl LineCutter {
    fn feed(&mut self, mut bytes: &[u8], mut on_line: impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.keep(&bytes[..end]);
            self.finish(&mut on_line);
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
    }

    fn finish(&mut self, mut on_line: impl FnMut(&[u8])) {
        let line = self.pending.strip_suffix(b"\r").unwrap_or(&self.pending);
        if !line.is_empty() {
            on_line(line);
        }
        self.pending.clear();
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = (MAX_LINE + LOOKAHEAD).saturating_sub(self.pending.len());
        self.pending.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

fn cut(line: &str, max: usize) -> &str {
    &line[..line.floor_char_boundary(max)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use camino::Utf8Path;
    use secrecy::SecretString;

    #[tokio::test]
    async fn lines_are_cut_redacted_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().join("service.log");
        let redactor = Redactor::default();
        redactor.learn_value(&SecretString::from("sentinel-value"));
        let log = Rc::new(RefCell::new(RotatedLog::new(&path)));
        let sink = Sink { label: Rc::new(RefCell::new("a1 | ".to_owned())), ring: Ring::default(), log, redactor };

        let mut said = format!("it is sentinel-value\r\n\n{}sentinel-value\n", "ä".repeat((MAX_LINE - 8) / 2));
        said.push_str(&"z".repeat(3 * MAX_LINE));
        said.push_str("\nlast without line break");
        follow(said.as_bytes(), sink.clone()).await;

        let text = fs_err::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[0], "a1 | it is [redacted]");
        assert!(lines[1].ends_with("ä[redacte"), "the cut must not leave half of a secret");
        assert_eq!(lines[2].len(), "a1 | ".len() + MAX_LINE);
        assert_eq!(lines[3], "a1 | last without line break");
        assert_eq!(sink.ring.tail().last().unwrap(), "last without line break");
    }

    #[tokio::test]
    async fn a_secret_is_redacted_across_chunks_and_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().join("service.log");
        let redactor = Redactor::default();
        redactor.learn_value(&SecretString::from("postgres://shop:sentinel%2Dvalue-of-it@db/shop"));
        let log = Rc::new(RefCell::new(RotatedLog::new(&path)));
        let sink = Sink { label: Rc::default(), ring: Ring::default(), log, redactor };
        let chunks = "password senti".as_bytes().chain("nel-value-of-it\n".as_bytes());
        let chunks = chunks.chain("password sentinel-valu\r".as_bytes()).chain("\n  e-of-it, sentinel".as_bytes());
        follow(chunks.chain("-value\n-of-it".as_bytes()), sink).await;
        let text = fs_err::read_to_string(&path).unwrap();
        // A rest of less than twelve bytes is no secret.
        assert_eq!(text, "password [redacted]\npassword [redacted]\n  e-of-it, [redacted]\n-of-it\n");
    }

    #[test]
    fn the_ring_keeps_the_last_lines() {
        let ring = Ring::default();
        for number in 0..1000 {
            ring.push(&number.to_string());
        }
        assert_eq!(ring.lines.borrow().len(), RING);
        assert_eq!(ring.tail().len(), TAIL);
        assert_eq!(ring.tail().last().unwrap(), "999");
    }
}
