//! Standard error and standard output. A reader closes them, a disk fills, and a terminal goes away at any time. None of these
//! fails a run.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use console::Term;
use indicatif::TermLike;

/// Standard error. Its first write that fails for good is its last: a terminal that is gone does not come back. indicatif, which
/// panics when it cannot draw, draws through it and never sees an error.
#[derive(Clone, Debug)]
pub(super) struct Screen {
    term: Term,
    gone: Arc<AtomicBool>,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self { term: Term::buffered_stderr(), gone: Arc::default() }
    }

    /// Writes text as it is.
    pub(super) fn write(&self, text: &str) {
        self.attempt(|| io::stderr().write_all(text.as_bytes()));
    }

    fn attempt(&self, write: impl FnOnce() -> io::Result<()>) {
        if self.gone.load(Ordering::Relaxed) {
            return;
        }
        if write().is_err_and(|error| !passes(&error)) {
            self.gone.store(true, Ordering::Relaxed);
        }
    }
}

/// Whether the next write may succeed: a slow reader of a stream that does not block, or a full disk.
fn passes(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        self.term.size().1
    }

    fn height(&self) -> u16 {
        self.term.size().0
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.attempt(|| self.term.move_cursor_up(n));
        Ok(())
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.attempt(|| self.term.move_cursor_down(n));
        Ok(())
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.attempt(|| self.term.move_cursor_right(n));
        Ok(())
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.attempt(|| self.term.move_cursor_left(n));
        Ok(())
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        self.attempt(|| self.term.write_line(s));
        Ok(())
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        self.attempt(|| self.term.write_str(s));
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.attempt(|| self.term.clear_line());
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        self.attempt(|| self.term.flush());
        Ok(())
    }
}

/// Standard output, where results go. A result that is lost fails the command when it has ended.
pub(super) struct Results {
    /// Asked at the start: a terminal that is gone no longer says that it was one.
    pub(super) terminal: bool,
    failed: Mutex<Option<io::Error>>,
}

impl Results {
    pub(super) fn new() -> Self {
        Self { terminal: io::stdout().is_terminal(), failed: Mutex::default() }
    }

    /// Writes text as it is. Nothing is written after a write that failed.
    pub(super) fn write(&self, text: &str) {
        let mut failed = self.failed.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if failed.is_none() {
            let mut out = io::stdout().lock();
            *failed = out.write_all(text.as_bytes()).and_then(|()| out.flush()).err();
        }
    }

    /// Whether a write has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).is_some()
    }

    /// Why results are lost. A reader that went away wants no more of them.
    pub(super) fn lost(&self) -> io::Result<()> {
        let failed = self.failed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        match failed {
            Some(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Some(error) if self.terminal && error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
                Ok(())
            }
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}
