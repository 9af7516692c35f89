//! Small objects with conditional writes: what the lease and the records of an environment stand on.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest as _, Sha256};

/// Where the objects are. Keys are relative paths such as `records/20261121T104423Z-1f2e3d.json`.
#[derive(Clone, Debug)]
pub enum Store {
    /// A folder on this machine. Writers of one machine exclude each other by a lock on `<folder>/.lock`.
    Folder(Utf8PathBuf),
}

/// An object's content and what names this state of it in a conditional write.
pub struct Versioned {
    /// The content.
    pub bytes: Vec<u8>,
    /// Changes whenever the content does.
    pub etag: String,
}

impl Store {
    /// The object, or none.
    pub fn get(&self, key: &str) -> Result<Option<Versioned>> {
        let Self::Folder(folder) = self;
        match fs_err::read(folder.join(key)) {
            Ok(bytes) => Ok(Some(Versioned { etag: etag(&bytes), bytes })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the object if its state is still `expected` (none: if there is no object). Tells whether it did.
    pub fn put(&self, key: &str, bytes: &[u8], expected: Option<&str>) -> Result<bool> {
        let Self::Folder(folder) = self;
        let path = folder.join(key);
        let parent = path.parent().unwrap_or(folder);
        fs_err::create_dir_all(parent)?;
        let _lock = lock(folder)?;
        if self.get(key)?.map(|object| object.etag).as_deref() != expected {
            return Ok(false);
        }
        replace_file(&path, bytes)?;
        Ok(true)
    }

    /// The keys below a prefix that ends with `/`, in order.
    pub fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let Self::Folder(folder) = self;
        let entries = match fs_err::read_dir(folder.join(prefix)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut keys = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let name = name.to_str().with_context(|| format!("{name:?} in {folder}/{prefix} is not UTF-8"))?;
            if !name.starts_with('.') {
                keys.push(format!("{prefix}{name}"));
            }
        }
        keys.sort();
        Ok(keys)
    }
}

/// Writes a file whole or not at all: a reader, and a machine that loses power, finds the old content or the new.
pub fn replace_file(path: &Utf8Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().with_context(|| format!("{path} is in no folder"))?;
    let mut file = tempfile::Builder::new()
        .prefix(".write-")
        .tempfile_in(folder)
        .with_context(|| format!("write a file in {folder}"))?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).with_context(|| format!("write {path}"))?;
    file.persist(path).with_context(|| format!("put {path} in its place"))?;
    Ok(())
}

/// Held until dropped.
fn lock(folder: &Utf8Path) -> Result<fs_err::File> {
    let file = fs_err::OpenOptions::new().create(true).truncate(false).write(true).open(folder.join(".lock"))?;
    flock(&file, FlockOperation::LockExclusive).with_context(|| format!("lock {folder}"))?;
    Ok(file)
}

fn etag(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// An empty store that ends with the folder it is given with.
#[cfg(test)]
pub fn scratch() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).expect("its path is UTF-8");
    (folder, Store::Folder(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_writers_on_the_same_state_one_wins() {
        let (_folder, store) = scratch();
        let wins = |expected: Option<&str>| {
            std::thread::scope(|scope| {
                let writers: Vec<_> = (0..8)
                    .map(|n: u8| {
                        let store = &store;
                        scope.spawn(move || store.put("a/lease", &[n, n], expected).unwrap())
                    })
                    .collect();
                writers.into_iter().filter_map(|writer| writer.join().unwrap().then_some(())).count()
            })
        };
        assert_eq!(wins(None), 1);
        let state = store.get("a/lease").unwrap().unwrap();
        // Writing the same bytes again leaves the same state, so the writers here must differ from what is there.
        store.put("a/lease", b"other", Some(&state.etag)).unwrap();
        assert_eq!(wins(Some(&state.etag)), 0);
        assert_eq!(store.list("a/").unwrap(), ["a/lease"]);
    }
}
