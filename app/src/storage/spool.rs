//! The spool: a folder for files that are being received, converted, or downloaded from the storage.
//!
//! Each file has a random name and belongs to the process that created it, which deletes it. What a killed process left
//! behind is swept by age, so nothing is locked and instances can share the folder.

use std::{
    fs::{Permissions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::Path,
    time::{Duration, SystemTime},
};

use fs_err as fs;
use tempfile::NamedTempFile;

/// The age at which a file that is no longer written to belongs to no request: the longest takes 5 minutes.
pub const ABANDONED: Duration = Duration::from_secs(60 * 60);

/// The folder in the spool of uploads that are received in parts. They have rows, and expire by those.
pub const RESUMABLE: &str = "resumable";

/// The free space, in bytes, below which a disk counts as full: several uploads at a time still fit.
const LEAST_FREE: u64 = 64 << 20;

/// Creates a file that only this user can read. It is deleted on drop, unless it was moved away.
pub fn create_file(spool: &Path) -> io::Result<NamedTempFile> {
    NamedTempFile::new_in(spool)
}

/// Creates what is missing of the spool.
pub(super) fn create(spool: &Path) -> io::Result<()> {
    create_folder(spool)?;
    create_folder(&spool.join(RESUMABLE))
}

/// Creates a folder, with its parents, that only this user can enter. One that exists is closed to others, and takes no disk
/// space.
pub(super) fn create_folder(folder: &Path) -> io::Result<()> {
    match fs::metadata(folder) {
        Ok(metadata) if metadata.permissions().mode() & 0o077 == 0 => Ok(()),
        Ok(_) => fs::set_permissions(folder, Permissions::from_mode(0o700)),
        Err(_) => {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|error| {
                io::Error::new(error.kind(), format!("create the folder {}: {error}", folder.display()))
            })
        }
    }
}

/// Deletes the files that were not written to for this long. Returns how many.
pub(super) fn sweep(spool: &Path, abandoned: Duration) -> io::Result<usize> {
    let mut swept = 0;
    for entry in fs::read_dir(spool)? {
        let path = entry?.path();
        if path.ends_with(RESUMABLE) {
            continue;
        }
        // Another instance may be sweeping, too.
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        let age = SystemTime::now().duration_since(metadata.modified()?).unwrap_or_default();
        if age < abandoned {
            continue;
        }
        let removed = if !metadata.is_dir() {
            fs::remove_file(&path)
        } else if is_of_a_stopped_process(&path) {
            fs::remove_dir_all(&path)
        } else {
            continue;
        };
        match removed {
            Ok(()) => swept += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(swept)
}

/// Releases up to 0.1 kept a folder for each process, with a file that the process had locked while it ran. One may still be
/// running during a deploy.
fn is_of_a_stopped_process(folder: &Path) -> bool {
    match fs::File::open(folder.join("alive")) {
        Ok(alive) => !matches!(alive.file().try_lock(), Err(TryLockError::WouldBlock)),
        Err(_) => true,
    }
}

/// Fails with `StorageFull` if hardly any space is left on the disk of this folder.
pub(super) fn check_space(folder: &Path) -> io::Result<()> {
    let disk = rustix::fs::statvfs(folder)?;
    // A file system that counts no blocks has no limit that it tells of.
    let is_full = disk.f_blocks > 0 && disk.f_bavail.saturating_mul(disk.f_frsize) < LEAST_FREE;
    if is_full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
}
