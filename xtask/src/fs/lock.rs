//! Exclusive locks on files. The kernel releases one when the process that holds it ends, however it ends.

use std::fs::{Permissions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::OpenOptionsExt as _;

/// How long a waiting process sleeps between two attempts: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: fs_err::File,
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("{path} is locked by {holder}")]
    Held {
        /// The lock's file.
        path: Utf8PathBuf,
        /// What the holder wrote about itself.
        holder: String,
    },
    /// The file could not be opened or locked.
    #[error("cannot lock {path}: {source}")]
    Broken {
        /// The lock's file.
        path: Utf8PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl Lock {
    /// Locks this file, which is made where it is missing, and writes into it what this process does. Fails at once when
    /// another process holds the lock.
    pub fn try_take(path: &Utf8Path, doing: &str) -> Result<Self, LockError> {
        let broken = |source| LockError::Broken { path: path.to_owned(), source };
        let mut open = fs_err::OpenOptions::new();
        let mut file =
            open.read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(broken)?;
        // One that other users can open, they can hold. It may be theirs, and its mode then not ours to change.
        if file.metadata().map_err(broken)?.permissions().mode() & 0o077 != 0 {
            file.set_permissions(Permissions::from_mode(0o600)).ok();
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { path: path.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(broken(error)),
        }
        // Only for people; the lock holds on a full disk, too.
        let about = format!("process {} ({doing})\n", std::process::id());
        file.set_len(0).and_then(|()| file.write_all(about.as_bytes())).ok();
        Ok(Self { _file: file })
    }

    /// The same, and waits this long for the process that holds the lock.
    pub async fn take(path: &Utf8Path, doing: &str, patience: Duration) -> Result<Self, LockError> {
        let (begin, mut pause) = (Instant::now(), PAUSES.0);
        loop {
            match Self::try_take(path, doing) {
                Err(LockError::Held { .. }) if begin.elapsed() < patience => tokio::time::sleep(pause).await,
                taken => return taken,
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Locks `<folder>.lock`: for work that makes the folder itself.
    pub async fn beside(folder: &Utf8Path, doing: &str, patience: Duration) -> Result<Self, LockError> {
        let path = Utf8PathBuf::from(format!("{folder}.lock"));
        if let Some(parent) = folder.parent() {
            super::private_folder(parent).map_err(|source| LockError::Broken { path: path.clone(), source })?;
        }
        Self::take(&path, doing, patience).await
    }
}

fn holder(file: &mut fs_err::File) -> String {
    let mut text = String::new();
    file.rewind().and_then(|()| file.take(1024).read_to_string(&mut text)).ok();
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() { "another process".to_owned() } else { line.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_is_told_who_holds_it_and_gets_it_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().join("made.lock");
        fs_err::write(&path, "").unwrap();
        fs_err::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        let first = Lock::try_take(&path, "installs the programs").unwrap();
        assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let held = Lock::take(&path, "waits", Duration::from_millis(5)).await.unwrap_err();
        let this = format!("locked by process {} (installs the programs)", std::process::id());
        assert!(held.to_string().ends_with(&this), "{held}");
        let second = Lock::take(&path, "waits", Duration::from_secs(60));
        let release = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            drop(first);
        };
        let (second, ()) = tokio::join!(second, release);
        second.unwrap();
    }

    #[tokio::test]
    async fn a_lock_that_cannot_be_made_is_no_held_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().join("missing/lock");
        let error = Lock::take(&path, "waits", Duration::from_secs(60)).await.unwrap_err();
        assert!(matches!(error, LockError::Broken { .. }), "{error}");
    }
}
