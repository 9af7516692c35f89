//! Stores media in a local folder.
//!
//! ```text
//! uploads/{id}            originals
//! thumbs/{id}.webp        thumbnails
//! clipboard/{id}.png      pictures for the clipboard
//! private/{id}            as received, if others get it without its location; another id
//! incoming/               the spool, see `spool.rs`
//! ```
//!
//! An object is complete once it has its name: it is written into the spool and then renamed, and file and folder are synced,
//! so that it survives a power failure.

use std::{
    collections::BinaryHeap,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use fs_err as fs;
use rustix::fs::Access;

use super::{
    Listed, Object, Page, StorageError,
    key::{Prefix, StorageKey},
    spool,
};

/// How many objects a page of a list has. Each page reads the whole folder, and keeps no more names than it has.
const PAGE: usize = 10_000;

/// Cheap to clone.
#[derive(Clone)]
pub struct LocalStorage {
    folders: Arc<Folders>,
}

struct Folders {
    root: PathBuf,
    spool: PathBuf,
}

impl LocalStorage {
    /// Creates what is missing of the folders.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let folders = Folders { root: root.to_owned(), spool: root.join("incoming") };
        for prefix in Prefix::ALL {
            spool::create_folder(&root.join(prefix.as_str()))?;
        }
        spool::create(&folders.spool)?;
        Ok(Self { folders: Arc::new(folders) })
    }

    pub(super) fn spool(&self) -> &Path {
        &self.folders.spool
    }

    pub(super) async fn put_file(&self, key: StorageKey, file: &Path) -> Result<(), StorageError> {
        let file = file.to_owned();
        self.blocking(move |folders| folders.put(key, &file)).await
    }

    pub(super) async fn put_bytes(&self, key: StorageKey, bytes: Bytes) -> Result<(), StorageError> {
        self.blocking(move |folders| {
            let mut file = spool::create_file(&folders.spool)?;
            file.write_all(&bytes)?;
            folders.put(key, file.path())
        })
        .await
    }

    pub(super) async fn head(&self, key: StorageKey) -> Result<Option<Object>, StorageError> {
        let path = self.path(key);
        self.blocking(move |_| match fs::metadata(path) {
            Ok(metadata) => Ok(Some(Object { size: metadata.len(), sha256: None })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    /// Takes no disk space, so it works on a full disk.
    pub(super) async fn delete(&self, keys: &[StorageKey]) -> Result<(), StorageError> {
        let paths: Vec<_> = keys.iter().map(|key| self.path(*key)).collect();
        self.blocking(move |_| {
            for path in paths {
                match fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn list(&self, prefix: Prefix, after: Option<String>) -> Result<Page, StorageError> {
        self.blocking(move |folders| {
            let folder = folders.root.join(prefix.as_str());
            // The least ones, the greatest of them first.
            let mut names = BinaryHeap::new();
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                let key = format!("{}{}", prefix.as_str(), entry.file_name().to_string_lossy());
                if entry.file_type()?.is_file() && after.as_ref().is_none_or(|after| key > *after) {
                    names.push((key, entry.path()));
                }
                if names.len() > PAGE + 1 {
                    names.pop();
                }
            }
            let mut names = names.into_sorted_vec();
            let next = (names.len() > PAGE).then(|| names[PAGE - 1].0.clone());
            names.truncate(PAGE);
            let mut objects = Vec::with_capacity(names.len());
            for (key, path) in names {
                match fs::metadata(path) {
                    Ok(metadata) => {
                        objects.push(Listed { key, size: metadata.len(), modified: metadata.modified()? });
                    }
                    // It was deleted meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(Page { objects, next })
        })
        .await
    }

    pub(super) async fn check(&self) -> Result<(), StorageError> {
        self.blocking(|folders| {
            for folder in Prefix::ALL.map(|prefix| folders.root.join(prefix.as_str())).iter().chain([&folders.spool]) {
                rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK)
                    .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", folder.display())))?;
            }
            spool::check_space(&folders.spool)
        })
        .await
    }

    pub fn path(&self, key: StorageKey) -> PathBuf {
        self.folders.path(key)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folders) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        let folders = self.folders.clone();
        let done = tokio::task::spawn_blocking(move || work(&folders)).await;
        Ok(done.map_err(|panic| StorageError::Internal(panic.into()))??)
    }
}

impl Folders {
    fn path(&self, key: StorageKey) -> PathBuf {
        self.root.join(key.to_string())
    }

    fn put(&self, key: StorageKey, file: &Path) -> io::Result<()> {
        let path = self.path(key);
        fs::File::open(file)?.sync_all()?;
        match fs::rename(file, &path) {
            // It is on another disk.
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let mut copy = spool::create_file(&self.spool)?;
                io::copy(&mut fs::File::open(file)?, &mut copy)?;
                copy.as_file().sync_all()?;
                copy.persist(&path)?;
            }
            renamed => renamed?,
        }
        fs::File::open(path.parent().unwrap_or(&self.root))?.sync_all()
    }
}
