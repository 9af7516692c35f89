//! A store in a folder of this machine. Writers exclude each other by a lock on `<folder>/.lock`.

use std::io::Write as _;
use std::time::Duration;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::{ErrorKind, Put, Result, StoreError, Versioned};
use crate::fs::{Lock, found, private_folder, read_file, replace_file, replace_file_soon};
use crate::hash::sha256;

/// A write takes milliseconds; a process that holds the lock for longer was stopped in the middle of one.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub struct Folder {
    path: Utf8PathBuf,
}

impl Folder {
    pub(super) fn new(path: Utf8PathBuf) -> Self {
        Self { path }
    }

    pub(super) fn location(&self) -> String {
        self.path.to_string()
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<Versioned>> {
        let path = self.file("read", key)?;
        let bytes = found(read_file(path)).map_err(|error| self.error("read", key, &error))?;
        Ok(bytes.map(|bytes| Versioned { etag: sha256(&bytes), bytes, age: None }))
    }

    pub(super) fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        self.list_into(prefix, &mut keys).map_err(|error| self.error("list", prefix, &error))?;
        keys.sort();
        Ok(keys)
    }

    /// Writes over the version with this ETag; without one, only if there is no object.
    pub(super) async fn put(&self, key: &str, bytes: &[u8], expected: Option<&str>) -> Result<Put> {
        let path = self.file("write", key)?;
        let parent = path.parent().unwrap_or(&self.path);
        private_folder(parent).map_err(|error| self.error("write", key, &error))?;
        let _lock = self.lock(key).await?;
        if self.get(key)?.map(|object| object.etag).as_deref() != expected {
            return Ok(Put::Refused);
        }
        // A lease that is given back need not outlive a loss of power; an object that is new must.
        let write = if expected.is_some() { replace_file_soon } else { replace_file };
        write(&path, bytes).map_err(|error| {
            let kind = error.downcast_ref().map_or(ErrorKind::Other, kind);
            self.failure(kind, "write", key, error.root_cause().to_string())
        })?;
        Ok(Put::Written { etag: sha256(bytes) })
    }

    /// Writes `added` at the end of the version with this ETag, in place: that takes no new space but its own, and a process
    /// that is killed leaves a part of it at worst.
    pub(super) async fn extend(&self, key: &str, added: &[u8], expected: &str) -> Result<Put> {
        let path = self.file("write", key)?;
        let _lock = self.lock(key).await?;
        let Some(old) = self.get(key)?.filter(|old| old.etag == expected) else { return Ok(Put::Refused) };
        let extend = || -> std::io::Result<()> {
            let mut file = fs_err::OpenOptions::new().append(true).open(&path)?;
            let written = file.write_all(added).and_then(|()| file.sync_data());
            if written.is_err() {
                file.set_len(old.bytes.len() as u64)?;
            }
            written
        };
        extend().map_err(|error| self.error("write", key, &error))?;
        Ok(Put::Written { etag: sha256(&[&old.bytes, added].concat()) })
    }

    pub(super) fn delete(&self, key: &str) -> Result<()> {
        let path = self.file("delete", key)?;
        found(fs_err::remove_file(path)).map(drop).map_err(|error| self.error("delete", key, &error))
    }

    async fn lock(&self, key: &str) -> Result<Lock> {
        let lock = Lock::take(&self.path.join(".lock"), "writes an object of this folder", PATIENCE).await;
        lock.map_err(|error| self.failure(ErrorKind::Other, "write", key, error.to_string()))
    }

    /// Files whose names begin with a dot are no objects: the lock, and content that is being written. A folder whose name has an
    /// object's ending is in an object's place: it is listed, so that reading it is an error and it is not overlooked.
    fn list_into(&self, prefix: &str, keys: &mut Vec<String>) -> std::io::Result<()> {
        let Some(entries) = found(fs_err::read_dir(self.path.join(prefix)))? else { return Ok(()) };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().into_string();
            let name = name.map_err(|name| std::io::Error::other(format!("the name {name:?} is not UTF-8")))?;
            if name.starts_with('.') {
                continue;
            }
            if entry.file_type()?.is_dir() && !name.contains('.') {
                self.list_into(&format!("{prefix}{name}/"), keys)?;
            } else {
                keys.push(format!("{prefix}{name}"));
            }
        }
        Ok(())
    }

    /// The object's file. A key may come from another machine's journal, and must not lead out of the folder.
    fn file(&self, tried: &'static str, key: &str) -> Result<Utf8PathBuf> {
        let mut parts = Utf8Path::new(key).components();
        if key.is_empty() || !parts.all(|part| matches!(part, Utf8Component::Normal(_))) {
            return Err(self.failure(ErrorKind::Other, tried, key, "this is not the key of an object".to_owned()));
        }
        Ok(self.path.join(key))
    }

    fn error(&self, tried: &'static str, key: &str, error: &std::io::Error) -> StoreError {
        // The place is told already; what is left is the system's reason.
        let mut reason: &dyn std::error::Error = error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        self.failure(kind(error), tried, key, reason.to_string())
    }

    fn failure(&self, kind: ErrorKind, tried: &'static str, key: &str, reason: String) -> StoreError {
        StoreError { kind, location: self.location(), key: key.to_owned(), tried, reason }
    }
}

fn kind(error: &std::io::Error) -> ErrorKind {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        _ => ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Store, scratch};
    use super::*;

    #[tokio::test]
    async fn of_many_writers_on_the_same_version_one_wins() {
        let (_folder, store) = scratch();
        let wins = async |expected: Option<&str>| {
            let writers = (0..8).map(|n: u8| {
                let (store, expected) = (store.clone(), expected.map(str::to_owned));
                tokio::spawn(async move { store.put_over("a/lease", &[n, n], expected.as_deref()).await.unwrap() })
            });
            let mut wins = 0;
            for writer in writers.collect::<Vec<_>>() {
                wins += usize::from(writer.await.unwrap() != Put::Refused);
            }
            wins
        };
        assert_eq!(wins(None).await, 1);
        let state = store.get("a/lease").await.unwrap().unwrap();
        // Writing the same bytes again leaves the same version, so the writers here must differ from what is there.
        store.put_if_unchanged("a/lease", b"other", &state.etag).await.unwrap();
        assert_eq!(wins(Some(&state.etag)).await, 0);
        assert_eq!(store.list("a/").await.unwrap(), ["a/lease"]);
    }

    #[tokio::test]
    async fn what_is_added_takes_the_version_that_it_expects() {
        let (_folder, store) = scratch();
        assert_eq!(store.extend("journal.jsonl", b"a\n", b"b\n", "none").await.unwrap(), Put::Refused);
        let Put::Written { etag } = store.put_if_absent("journal.jsonl", b"a\n").await.unwrap() else { panic!() };
        let Put::Written { etag: longer } = store.extend("journal.jsonl", b"a\n", b"b\n", &etag).await.unwrap() else {
            panic!("the version is the one that was written")
        };
        assert_eq!(store.extend("journal.jsonl", b"a\n", b"c\n", &etag).await.unwrap(), Put::Refused);
        let now = store.get("journal.jsonl").await.unwrap().unwrap();
        assert_eq!((now.bytes.as_slice(), now.etag), (&b"a\nb\n"[..], longer));
    }

    #[tokio::test]
    async fn a_folder_that_nothing_was_written_to_is_not_made() {
        let (folder, _) = scratch();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("not/yet")).unwrap();
        let store = Store::folder(path.clone());
        assert_eq!(store.get("lease.json").await.unwrap(), None);
        assert!(store.list("records/").await.unwrap().is_empty());
        store.delete("lease.json").await.unwrap();
        assert!(!path.exists());
        store.put_if_absent("records/1.json", b"{}").await.unwrap();
        assert_eq!(store.list("records/").await.unwrap(), ["records/1.json"]);
    }

    #[tokio::test]
    async fn a_key_does_not_lead_out_of_the_folder() {
        let (_folder, store) = scratch();
        for key in ["../lease.json", "/etc/passwd", "records/../../x", ""] {
            let error = store.put_if_absent(key, b"").await.unwrap_err().to_string();
            assert!(error.contains("not the key of an object"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_folder_in_the_place_of_an_object_is_no_missing_object() {
        let (folder, store) = scratch();
        fs_err::create_dir_all(folder.path().join("records/1.json")).unwrap();
        fs_err::create_dir_all(folder.path().join("lease.json")).unwrap();
        assert_eq!(store.list("records/").await.unwrap(), ["records/1.json"]);
        for key in ["records/1.json", "lease.json"] {
            let error = store.get(key).await.unwrap_err().to_string();
            assert!(error.contains(key) && error.contains("is not a file"), "{error}");
            store.put_if_absent(key, b"{}").await.unwrap_err();
        }
    }

    #[tokio::test]
    async fn a_file_in_the_place_of_the_folder_is_no_empty_history() {
        let (folder, _) = scratch();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("file")).unwrap();
        fs_err::write(&path, "").unwrap();
        let error = Store::folder(path.clone()).list("records/").await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot list records/ in {path}: ")), "{error}");
    }
}
