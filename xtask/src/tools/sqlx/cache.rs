//! The query cache, `.sqlx/`: what a database said of each query, so that builds need none. sqlx looks a query up as
//! `query-<SHA-256 of its text>.json` and passes every other file over; the stamp lies beside.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fs::{found, replace_source};
use crate::hash::sha256;
use crate::release::Migration;

/// Its name, in the project's root.
pub const FOLDER: &str = ".sqlx";

/// The stamp's name, in that folder.
pub const STAMP: &str = "prepared.json";

/// All queries, by the names of their files.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cache(pub BTreeMap<String, Entry>);

/// One query's file.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// The query; empty when the file is damaged.
    pub query: String,
    /// What the database said of it.
    pub describe: Value,
    bytes: Vec<u8>,
}

/// What the cache was made of. It is what a lock file is: while it fits, nobody needs to ask a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    schema: String,
    queries: String,
    sqlx: String,
}

/// How writing a cache has changed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Queries that it did not have.
    pub new: usize,
    /// Queries of which the database says something else now.
    pub changed: usize,
    /// Queries that are in no source any more.
    pub gone: usize,
}

impl Cache {
    /// What is in a folder; none when there is no folder.
    pub fn read(folder: &Utf8Path) -> Result<Option<Self>> {
        let entries = found(folder.read_dir_utf8()).with_context(|| format!("list {folder}"))?;
        let Some(entries) = entries else { return Ok(None) };
        let mut cache = Self::default();
        for file in entries {
            let file = file?;
            let name = file.file_name();
            if name.starts_with("query-") && name.ends_with(".json") {
                cache.0.insert(name.to_owned(), Entry::read(fs_err::read(file.path())?));
            }
        }
        Ok(Some(cache))
    }

    /// The stamp of this cache, if it is made of these migrations by this version of sqlx.
    pub fn stamp(&self, migrations: &[Migration], sqlx: &str) -> Stamp {
        let files = migrations.iter().map(|migration| format!("{} {}\n", migration.name, migration.sha256));
        let queries = self.0.iter().map(|(name, entry)| format!("{name} {}\n", sha256(&entry.bytes)));
        Stamp {
            schema: sha256(files.collect::<String>().as_bytes()),
            queries: sha256(queries.collect::<String>().as_bytes()),
            sqlx: sqlx.to_owned(),
        }
    }

    /// Makes a folder hold this cache and this stamp. What is the same keeps its file and its time. Files are replaced one
    /// by one and the stamp last, so a cache that was left half-written has a stamp that does not fit.
    pub fn write(&self, folder: &Utf8Path, stamp: &Stamp) -> Result<Change> {
        fs_err::create_dir_all(folder)?;
        let old = Self::read(folder)?.unwrap_or_default();
        let mut change = Change::default();
        for (name, entry) in &self.0 {
            match old.0.get(name) {
                Some(same) if same == entry => continue,
                Some(_) => change.changed += 1,
                None => change.new += 1,
            }
            replace_source(&folder.join(name), &entry.bytes)?;
        }
        for name in old.0.keys().filter(|name| !self.0.contains_key(*name)) {
            fs_err::remove_file(folder.join(name))?;
            change.gone += 1;
        }
        if Stamp::read(folder)?.as_ref() != Some(stamp) {
            let mut bytes = serde_json::to_vec_pretty(stamp).context("write the stamp as JSON")?;
            bytes.push(b'\n');
            replace_source(&folder.join(STAMP), &bytes)?;
        }
        Ok(change)
    }
}

impl Stamp {
    /// The stamp of a folder, if it has one that can be read: any other fits nothing.
    pub fn read(folder: &Utf8Path) -> Result<Option<Self>> {
        let bytes = found(fs_err::read(folder.join(STAMP)))?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// What is not as in `now`; nothing when it fits.
    pub fn differences(&self, now: &Self) -> Vec<&'static str> {
        let parts = [
            (self.schema != now.schema, "the migrations"),
            (self.queries != now.queries, "the queries' files"),
            (self.sqlx != now.sqlx, "the version of sqlx"),
        ];
        parts.into_iter().filter_map(|(differs, what)| differs.then_some(what)).collect()
    }
}

impl Entry {
    fn read(bytes: Vec<u8>) -> Self {
        #[derive(Deserialize)]
        struct File {
            query: String,
            describe: Value,
        }
        match serde_json::from_slice(&bytes) {
            Ok(File { query, describe }) => Self { query, describe, bytes },
            Err(_) => Self { query: String::new(), describe: Value::Null, bytes },
        }
    }
}
