//! One process at a time.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::OpenOptionsExt as _;

/// Waits, as long as `patience`, until nobody else works on this folder; `<folder>.lock` is locked until the result is
/// dropped. The kernel ends the turn of whoever is killed.
pub async fn turn(folder: &Utf8Path, patience: Duration) -> Result<fs_err::File> {
    if let Some(parent) = folder.parent() {
        fs_err::create_dir_all(parent)?;
    }
    let path = Utf8PathBuf::from(format!("{folder}.lock"));
    let file = fs_err::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
    let begin = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) if begin.elapsed() < patience => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => return Err(error).with_context(|| format!("lock {path}; another process holds it")),
        }
    }
}
