//! Small objects with conditional writes: the lease, the journal, the records and the kept plan of an environment.
//!
//! A folder serves the processes of one machine. A bucket serves several machines: a deploy that was planned or cut short
//! on one of them can be applied or resumed on another.

#[cfg(feature = "cloud")]
mod bucket;
mod error;
mod folder;
#[cfg(not(feature = "cloud"))]
mod no_bucket;
mod remote;

use std::time::Duration;

use camino::Utf8PathBuf;

use self::bucket::Condition;
pub use self::bucket::Objects;
pub use self::error::{ErrorKind, StoreError};
pub use self::folder::Folder;
#[cfg(not(feature = "cloud"))]
use self::no_bucket as bucket;
pub use self::remote::RemoteFolder;
use crate::tools::ssh::Remote;

type Result<T> = std::result::Result<T, StoreError>;

/// Where the objects are. Keys are relative paths such as `records/00000007-20261121T104423Z-1f2e3d.json`.
#[derive(Clone, Debug)]
pub enum Store {
    /// A folder on this machine.
    Folder(Folder),
    /// A bucket, shared by several machines.
    Bucket(Objects),
    /// A folder on another machine, shared by those that reach it.
    Remote(RemoteFolder),
}

/// One version of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    pub bytes: Vec<u8>,
    /// Names this version in a conditional write.
    pub etag: String,
    /// How long ago this version was written, by the clock of the server that keeps it. A folder tells no age: its
    /// writers share this machine's clock.
    pub age: Option<Duration>,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// In order.
    pub keys: Vec<String>,
    /// Whether no key comes after these.
    pub is_last: bool,
}

/// The result of a conditional write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// The object has the new content, and this ETag.
    Written { etag: String },
    /// Nothing was written: another version is there than the caller expected.
    Refused,
}

// A request to a server is a large future. In a box, it does not make those of all callers large.
impl Store {
    /// Makes nothing on disk: the first write makes the folder.
    pub fn folder(path: Utf8PathBuf) -> Self {
        Self::Folder(Folder::new(path))
    }

    /// Below `prefix` on another machine.
    pub fn remote(remote: Remote, prefix: String) -> Self {
        Self::Remote(RemoteFolder::new(remote, prefix))
    }

    /// None if there is no such object.
    pub async fn get(&self, key: &str) -> Result<Option<Versioned>> {
        match self {
            Self::Folder(folder) => folder.get(key),
            Self::Bucket(objects) => Box::pin(objects.get(key)).await,
            Self::Remote(remote) => Box::pin(remote.get(key)).await,
        }
    }

    /// All keys that begin with `prefix`, which ends with `/`, in order.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        match self {
            Self::Folder(folder) => folder.list(prefix),
            Self::Bucket(objects) => Box::pin(objects.list(prefix)).await,
            Self::Remote(remote) => Box::pin(remote.list(prefix)).await,
        }
    }

    /// The first of the keys that begin with `prefix` and come after `after`, as many as the store tells in one request.
    pub async fn list_after(&self, prefix: &str, after: &str) -> Result<Page> {
        match self {
            Self::Folder(folder) => {
                let mut keys = folder.list(prefix)?;
                keys.retain(|key| key.as_str() > after);
                Ok(Page { keys, is_last: true })
            }
            Self::Bucket(objects) => Box::pin(objects.list_after(prefix, after)).await,
            Self::Remote(remote) => {
                let mut keys = Box::pin(remote.list(prefix)).await?;
                keys.retain(|key| key.as_str() > after);
                Ok(Page { keys, is_last: true })
            }
        }
    }

    /// Writes an object that is not there yet.
    pub async fn put_if_absent(&self, key: &str, bytes: &[u8]) -> Result<Put> {
        match self {
            Self::Folder(folder) => folder.put(key, bytes, None).await,
            Self::Bucket(objects) => Box::pin(objects.put(key, bytes, Condition::Absent)).await,
            Self::Remote(remote) => Box::pin(remote.put(key, bytes, None)).await,
        }
    }

    /// Writes over the version of the object that has this ETag.
    pub async fn put_if_unchanged(&self, key: &str, bytes: &[u8], etag: &str) -> Result<Put> {
        match self {
            Self::Folder(folder) => folder.put(key, bytes, Some(etag)).await,
            Self::Bucket(objects) => Box::pin(objects.put(key, bytes, Condition::Unchanged(etag))).await,
            Self::Remote(remote) => Box::pin(remote.put(key, bytes, Some(etag))).await,
        }
    }

    /// Adds to the end of `old`, which is the version with this ETag. A bucket and another machine get the whole object anew.
    pub async fn extend(&self, key: &str, old: &[u8], added: &[u8], etag: &str) -> Result<Put> {
        match self {
            Self::Folder(folder) => folder.extend(key, added, etag).await,
            Self::Bucket(_) | Self::Remote(_) => self.put_if_unchanged(key, &[old, added].concat(), etag).await,
        }
    }

    /// Writes over the version that was read, or writes the first one when nothing was there.
    pub async fn put_over(&self, key: &str, bytes: &[u8], read: Option<&str>) -> Result<Put> {
        match read {
            Some(etag) => self.put_if_unchanged(key, bytes, etag).await,
            None => self.put_if_absent(key, bytes).await,
        }
    }

    /// Deletes the object. One that is not there is fine.
    pub async fn delete(&self, key: &str) -> Result<()> {
        match self {
            Self::Folder(folder) => folder.delete(key),
            Self::Bucket(objects) => Box::pin(objects.delete(key)).await,
            Self::Remote(remote) => Box::pin(remote.delete(key)).await,
        }
    }

    /// Where the objects are, for people.
    pub fn location(&self) -> String {
        match self {
            Self::Folder(folder) => folder.location(),
            Self::Bucket(objects) => objects.location(),
            Self::Remote(remote) => remote.location(),
        }
    }

    /// Whether other machines write here, too.
    pub fn is_shared(&self) -> bool {
        match self {
            Self::Folder(_) => false,
            Self::Bucket(_) | Self::Remote(_) => true,
        }
    }
}

/// An empty store that ends with the folder it is given with.
#[cfg(test)]
pub fn scratch() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).expect("its path is UTF-8");
    (folder, Store::folder(path))
}
