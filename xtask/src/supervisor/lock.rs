//! Exclusive locks on files, released by the kernel when their holder ends, however it ends.

use std::time::Duration;

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tokio::sync::oneshot;

/// A lock that is held until this is dropped.
pub(super) struct Lock {
    _file: fs_err::File,
}

/// Takes the lock on this file, waiting for its holder this long at most; none if that was not enough.
pub(super) async fn take(path: &Utf8Path, patience: Duration) -> Result<Option<Lock>> {
    let file = fs_err::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => return Ok(Some(Lock { _file: file })),
        Err(Errno::WOULDBLOCK) => {}
        Err(error) => return Err(error).with_context(|| format!("lock {path}")),
    }
    let (tell, told) = oneshot::channel();
    // A thread of its own, not one of the runtime's: the runtime would wait for it at its end, the process does not.
    std::thread::Builder::new().spawn(move || {
        let locked = loop {
            match flock(&file, FlockOperation::LockExclusive) {
                Err(Errno::INTR) => {}
                result => break result,
            }
        };
        // Nobody waits any more: the file and with it the lock are dropped.
        drop(tell.send(locked.map(|()| Lock { _file: file })));
    })?;
    match tokio::time::timeout(patience, told).await {
        Err(_) => Ok(None),
        Ok(answer) => Ok(Some(answer.context("the waiting thread ended")?.with_context(|| format!("lock {path}"))?)),
    }
}
