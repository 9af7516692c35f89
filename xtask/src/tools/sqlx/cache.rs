//! The query cache, `.sqlx/`: a database's description of each query, so that builds need no database. sqlx reads
//! `query-<SHA-256 of the query>.json` and ignores other files, such as the stamp.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fs::{found, project, replace_source};
use crate::hash::sha256;
use crate::release::Migration;

/// Its name, in the project's root.
pub const FOLDER: &str = ".sqlx";

/// The stamp's name, in that folder.
pub const STAMP: &str = "prepared.json";

/// All queries by file name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cache(pub BTreeMap<String, Entry>);

/// The file of a query.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// The query; empty if the file is damaged.
    pub query: String,
    /// The database's description.
    pub describe: Value,
    bytes: Vec<u8>,
}

/// Hashes of the cache's inputs, like a lock file: while they match, no database is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    schema: String,
    queries: String,
    sqlx: String,
}

/// The changes of a written cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// New queries.
    pub new: usize,
    /// Queries with another description.
    pub changed: usize,
    /// Queries that are no longer in any source.
    pub gone: usize,
}

impl Cache {
    /// Reads a folder; none if it does not exist.
    pub fn read(folder: &Utf8Path) -> Result<Option<Self>> {
        let entries = found(folder.read_dir_utf8()).with_context(|| format!("list {folder}"))?;
        let Some(entries) = entries else { return Ok(None) };
        let mut cache = Self::default();
        for file in entries {
            let file = file?;
            let name = file.file_name();
            if name.starts_with("query-") && name.ends_with(".json") {
                let bytes =
                    project::read(folder, Utf8Path::new(name)).with_context(|| format!("read {name} in {folder}"))?;
                cache.0.extend(bytes.map(|bytes| (name.to_owned(), Entry::read(bytes))));
            }
        }
        Ok(Some(cache))
    }

    /// The stamp of this cache for these migrations and this version of sqlx.
    pub fn stamp(&self, migrations: &[Migration], sqlx: &str) -> Stamp {
        let files = migrations.iter().map(|migration| format!("{} {}\n", migration.name, migration.sha256));
        let queries = self.0.iter().map(|(name, entry)| format!("{name} {}\n", sha256(&entry.bytes)));
        Stamp {
            schema: sha256(files.collect::<String>().as_bytes()),
            queries: sha256(queries.collect::<String>().as_bytes()),
            sqlx: sqlx.to_owned(),
        }
    }

    /// Writes the cache and its stamp into a folder. Unchanged files are not touched. The stamp comes last, so an interrupted write
    /// leaves a stamp that does not match.
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
    /// The stamp of a folder; none if it is missing or unreadable.
    pub fn read(folder: &Utf8Path) -> Result<Option<Self>> {
        let bytes = if folder.exists() { project::read(folder, Utf8Path::new(STAMP))? } else { None };
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// The inputs that differ from `now`; none if the stamps match.
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
