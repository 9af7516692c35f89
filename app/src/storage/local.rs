//! Stores media in a local folder.
//!
//! ```text
//! uploads/{id}                        originals
//! thumbs/{id}.webp                    thumbnails
//! incoming/door                       lock: held while a process creates or inspects a folder in incoming/
//! incoming/{process}/alive            lock: held for as long as the process runs
//! incoming/{process}/{id}/            staging folder: a change of this media is in progress, with its files
//! ```
//!
//! A row and its files cannot change atomically. So each change first creates a staging folder, which exists from before
//! the first byte is received until after the row is inserted (or, for a deletion, deleted). A process that crashes leaves
//! its staging folders behind and releases its `alive` lock. The lock tells the next start which folders are orphaned and
//! which belong to another running instance. For each orphaned folder, files with a row are kept, others are deleted.
//!
//! During a deploy, two releases use the folder at the same time, so all releases must agree on these names.

use std::{
    fs::{File, Permissions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use fs_err::{self as fs, os::unix::fs::OpenOptionsExt as _};
use ulid::Ulid;

use super::StorageKey;
use crate::media::MediaId;

/// How long a start waits for the door: another process holds it for milliseconds.
const DOOR_TIMEOUT: Duration = Duration::from_secs(10);

const DOOR_PAUSE: Duration = Duration::from_millis(5);

pub struct LocalStorage {
    root: PathBuf,
    /// `incoming/{process}` of this process.
    incoming: PathBuf,
    _alive: File,
}

/// The staging folder of a change in progress. Dropping it deletes the folder, unless it is persisted.
pub struct Staging {
    folder: PathBuf,
    persistent: bool,
}

/// The staging folders of a process that no longer runs.
pub struct OrphanedStaging {
    /// The media that the process was changing.
    pub media: Vec<MediaId>,
    folder: PathBuf,
    _alive: Option<File>,
}

impl LocalStorage {
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        for folder in ["uploads", "thumbs", "incoming"] {
            let folder = root.join(folder);
            create_folder(&folder, true)?;
            // An earlier release made it in the mode of its umask.
            if fs::metadata(&folder)?.permissions().mode() & 0o077 != 0 {
                fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
            }
        }
        let _lock = lock_incoming(root)?;
        let incoming = root.join("incoming").join(Ulid::new().to_string());
        create_folder(&incoming, false)?;
        let alive = create_file().create_new(true).open(incoming.join("alive"))?.into_file();
        alive.try_lock()?;
        Ok(Self { root: root.to_owned(), incoming, _alive: alive })
    }

    pub(super) fn stage(&self, id: MediaId) -> io::Result<Staging> {
        let folder = self.incoming.join(id.to_string());
        create_folder(&folder, false)?;
        Ok(Staging { folder, persistent: false })
    }

    pub(super) async fn put(&self, key: StorageKey, file: &Path) -> io::Result<()> {
        let path = self.path(key);
        // Sync the file and the folder, so that the stored file survives a power failure.
        fs::tokio::File::open(file).await?.sync_all().await?;
        fs::tokio::rename(file, &path).await?;
        let folder = path.parent().unwrap_or(&self.root);
        fs::tokio::File::open(folder).await?.sync_all().await
    }

    pub(super) async fn delete(&self, id: MediaId) -> io::Result<()> {
        for key in [StorageKey::Original(id), StorageKey::Thumbnail(id)] {
            match fs::tokio::remove_file(self.path(key)).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn orphaned_staging(&self) -> io::Result<Vec<OrphanedStaging>> {
        let _lock = lock_incoming(&self.root)?;
        let mut orphaned = Vec::new();
        for entry in fs::read_dir(self.root.join("incoming"))? {
            let folder = entry?.path();
            if folder == self.incoming || !folder.is_dir() {
                continue;
            }
            let alive = match fs::File::open(folder.join("alive")) {
                Ok(file) => Some(file.into_file()),
                // The process crashed after it created its folder and before it created its lock.
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
            if alive.as_ref().is_some_and(|alive| alive.try_lock().is_err()) {
                continue;
            }
            let names = fs::read_dir(&folder)?.map(|entry| entry.map(|entry| entry.file_name()));
            let names = names.collect::<io::Result<Vec<_>>>()?;
            let media = names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect();
            orphaned.push(OrphanedStaging { media, folder, _alive: alive });
        }
        Ok(orphaned)
    }

    pub(super) async fn check(&self) -> io::Result<()> {
        for folder in [&self.incoming, &self.root.join("uploads"), &self.root.join("thumbs")] {
            if fs::tokio::metadata(folder).await?.permissions().readonly() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the folder is read-only"));
            }
        }
        Ok(())
    }

    pub fn path(&self, key: StorageKey) -> PathBuf {
        self.root.join(key.to_string())
    }
}

impl Staging {
    /// The path of a file in the staging folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Creates a file in the staging folder, which no other user can read.
    pub async fn create(&self, name: &str) -> io::Result<fs::tokio::File> {
        let mut options = fs::tokio::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).open(self.file(name)).await
    }

    /// Keeps the folder until [`Staging::remove`], even if the process crashes. Call this before moving the first file:
    /// from then on, recovery must compare the files with the row.
    pub fn persist(&mut self) {
        self.persistent = true;
    }

    /// Deletes the folder, once files and row are consistent.
    pub fn remove(mut self) {
        self.persistent = false;
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.persistent
            && let Err(error) = fs::remove_dir_all(&self.folder)
        {
            tracing::warn!(%error, "cannot delete a staging folder; the next start deletes it");
        }
    }
}

impl OrphanedStaging {
    /// Deletes the folders with their files.
    pub fn remove(self) -> io::Result<()> {
        fs::remove_dir_all(&self.folder)
    }
}

/// Prevents that another process sees a folder whose `alive` lock does not exist yet.
fn lock_incoming(root: &Path) -> io::Result<File> {
    let path = root.join("incoming/door");
    let mut lock = create_file().read(true).create(true).truncate(false).open(&path)?.into_file();
    let deadline = Instant::now() + DOOR_TIMEOUT;
    loop {
        match lock.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(DOOR_PAUSE),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                lock.take(100).read_to_string(&mut holder)?;
                let text = format!("{} is locked by {}", path.display(), holder.trim());
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
        }
    }
    // Only for people; the lock holds on a full disk, too.
    let about = format!("process {}\n", std::process::id());
    lock.set_len(0).and_then(|()| lock.write_all(about.as_bytes())).ok();
    Ok(lock)
}

fn create_folder(path: &Path, recursive: bool) -> io::Result<()> {
    let made = std::fs::DirBuilder::new().recursive(recursive).mode(0o700).create(path);
    made.map_err(|error| io::Error::new(error.kind(), format!("create the folder {}: {error}", path.display())))
}

fn create_file() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_other_user_can_read_what_is_stored() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("uploads")).unwrap();
        fs::set_permissions(root.path().join("uploads"), Permissions::from_mode(0o777)).unwrap();
        let storage = LocalStorage::open(root.path()).unwrap();
        let id = MediaId::generate();
        let staging = storage.stage(id).unwrap();
        drop(staging.create("original").await.unwrap());
        storage.put(StorageKey::Original(id), &staging.file("original")).await.unwrap();
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for folder in [root.path().join("uploads"), root.path().join("thumbs"), storage.incoming.clone()] {
            assert_eq!(mode(folder.clone()), 0o700, "{}", folder.display());
        }
        for file in
            [storage.path(StorageKey::Original(id)), storage.incoming.join("alive"), root.path().join("incoming/door")]
        {
            assert_eq!(mode(file.clone()), 0o600, "{}", file.display());
        }
    }
}
