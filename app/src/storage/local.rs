//! Media in a folder of this machine.
//!
//! ```text
//! uploads/{id}                        originals
//! thumbs/{id}.webp                    thumbnails
//! incoming/door                       locked for moments, while one process looks at another's folder
//! incoming/{process}/alive            locked as long as that process lives
//! incoming/{process}/{id}/            a change of that media's objects under way, with its files
//! ```
//!
//! A row and its files cannot change in one step, so each change is marked first: the folder `incoming/{process}/{id}` is
//! there from before the first byte until after the row is in the table (or, for a removal, out of it). A process that
//! dies leaves its marks, and its lock falls open, which is how the next start tells them from an upload under way in
//! another instance. It then keeps the objects whose row exists and removes the others.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use fs_err as fs;
use ulid::Ulid;

use super::StorageKey;
use crate::media::MediaId;

/// A folder with media.
pub struct Local {
    root: PathBuf,
    /// This process's own folder for what is under way.
    incoming: PathBuf,
    /// Holds the lock that says that this process lives.
    _alive: File,
}

/// The mark of a change under way, and the folder for its files. Dropping it removes both.
pub struct Incoming {
    folder: PathBuf,
    keep: bool,
}

/// The marks of a process that no longer runs.
pub struct Abandoned {
    /// The media whose objects it was changing.
    pub media: Vec<MediaId>,
    folder: PathBuf,
    _alive: Option<File>,
}

impl Local {
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        for folder in ["uploads", "thumbs", "incoming"] {
            fs::create_dir_all(root.join(folder))?;
        }
        let _door = lock_door(root)?;
        let incoming = root.join("incoming").join(Ulid::new().to_string());
        fs::create_dir(&incoming)?;
        let alive = fs::File::create(incoming.join("alive"))?.into_file();
        alive.try_lock()?;
        Ok(Self { root: root.to_owned(), incoming, _alive: alive })
    }

    pub(super) fn begin(&self, id: MediaId) -> io::Result<Incoming> {
        let folder = self.incoming.join(id.to_string());
        fs::create_dir(&folder)?;
        Ok(Incoming { folder, keep: false })
    }

    pub(super) async fn put(&self, key: StorageKey, file: &Path) -> io::Result<()> {
        let path = self.path(key);
        // What was answered as stored must survive a power cut: the bytes, and their new name in the folder.
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

    pub(super) fn abandoned(&self) -> io::Result<Vec<Abandoned>> {
        let _door = lock_door(&self.root)?;
        let mut abandoned = Vec::new();
        for entry in fs::read_dir(self.root.join("incoming"))? {
            let folder = entry?.path();
            if folder == self.incoming || !folder.is_dir() {
                continue;
            }
            let alive = match fs::File::open(folder.join("alive")) {
                Ok(file) => Some(file.into_file()),
                // It died between making its folder and making its lock.
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
            if alive.as_ref().is_some_and(|alive| alive.try_lock().is_err()) {
                continue;
            }
            let names = fs::read_dir(&folder)?.map(|entry| entry.map(|entry| entry.file_name()));
            let names = names.collect::<io::Result<Vec<_>>>()?;
            let media = names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect();
            abandoned.push(Abandoned { media, folder, _alive: alive });
        }
        Ok(abandoned)
    }

    pub(super) async fn check(&self) -> io::Result<()> {
        for folder in [&self.incoming, &self.root.join("uploads"), &self.root.join("thumbs")] {
            if fs::tokio::metadata(folder).await?.permissions().readonly() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the folder is read-only"));
            }
        }
        Ok(())
    }

    /// The file of a key.
    pub fn path(&self, key: StorageKey) -> PathBuf {
        self.root.join(key.to_string())
    }
}

impl Incoming {
    /// The path of one of its files.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// From here on the mark stays until [`Incoming::finish`], even when the process ends in between: the objects have
    /// begun to move, and whether they may stay depends on the row.
    pub fn keep_mark(&mut self) {
        self.keep = true;
    }

    /// The objects and the row agree: takes the mark away.
    pub fn finish(mut self) {
        self.keep = false;
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = fs::remove_dir_all(&self.folder)
        {
            tracing::warn!(%error, "a temporary folder stays until the next start");
        }
    }
}

impl Abandoned {
    /// Takes the marks and their files away.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub fn clear(self) -> io::Result<()> {
        fs::remove_dir_all(&self.folder)
    }
}

/// Held while a process's folder and lock come into being, or are looked at, so that neither is seen half made.
fn lock_door(root: &Path) -> io::Result<File> {
    let door = fs::File::create(root.join("incoming/door"))?.into_file();
    door.lock()?;
    Ok(door)
}
