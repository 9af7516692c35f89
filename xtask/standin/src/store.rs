//! What exists: a folder for each type, a file of JSON for each resource. Who edits or deletes one has made a drift.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::schema::{Kind, Object, Type};
use crate::value::{Map, Value};

/// What may stand in a file's name as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// The folder.
#[derive(Debug)]
pub struct Store(PathBuf);

impl Store {
    /// In a folder, which is made if it is not there.
    pub fn open(folder: &Path) -> Result<Self> {
        fs_err::create_dir_all(folder)?;
        Ok(Self(folder.to_owned()))
    }

    /// A resource, or `None` where it does not exist. Fails on a file that is no JSON object or has a field that the
    /// schema lacks.
    pub fn get(&self, name: &str, key: &str, object: &Object) -> Result<Option<Map>> {
        read(&self.file(name, key), object)
    }

    /// All resources of a type.
    pub fn all(&self, name: &str, object: &Object) -> Result<Vec<Map>> {
        let folder = self.0.join(name);
        let mut found = Vec::new();
        if folder.exists() {
            for entry in fs_err::read_dir(&folder)? {
                let path = entry?.path();
                if path.extension().is_some_and(|end| end == "json") {
                    found.extend(read(&path, object)?);
                }
            }
        }
        Ok(found)
    }

    /// Keeps a resource that did not exist. Fails if it does.
    pub fn create(&self, name: &str, key: &str, values: &Map) -> Result<()> {
        let (file, written) = self.written(name, key, values)?;
        match written.persist_noclobber(&file) {
            Ok(_) => Ok(()),
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
                bail!("{name} {key:?} already exists; to take it over: tofu import ADDRESS {key:?}")
            }
            Err(error) => Err(error.error).with_context(|| format!("write {}", file.display())),
        }
    }

    /// Keeps a resource in place of what was there.
    pub fn replace(&self, name: &str, key: &str, values: &Map) -> Result<()> {
        let (file, written) = self.written(name, key, values)?;
        written.persist(&file).with_context(|| format!("write {}", file.display()))?;
        Ok(())
    }

    /// Forgets a resource, if it is there.
    pub fn remove(&self, name: &str, key: &str) -> Result<()> {
        match fs_err::remove_file(self.file(name, key)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn file(&self, name: &str, key: &str) -> PathBuf {
        self.0.join(name).join(format!("{}.json", utf8_percent_encode(key, PLAIN)))
    }

    /// The whole file beside its place, so that nobody reads half of it. Only its owner may: it holds secrets.
    fn written(&self, name: &str, key: &str, values: &Map) -> Result<(PathBuf, tempfile::NamedTempFile)> {
        let file = self.file(name, key);
        let folder = self.0.join(name);
        fs_err::create_dir_all(&folder)?;
        let mut written =
            tempfile::NamedTempFile::new_in(&folder).with_context(|| format!("write {}", file.display()))?;
        let text = serde_json::to_string_pretty(&Value::Map(values.clone()).json()).expect("values are JSON");
        written.write_all(text.as_bytes()).with_context(|| format!("write {}", file.display()))?;
        Ok((file, written))
    }
}

/// What tells a resource from others of its type: its id, or all that it must be given where it has none, as the
/// account and name of a bucket whose rules it is.
pub fn key(object: &Object, values: &Map) -> String {
    match values.get("id") {
        Some(Value::String(id)) => id.clone(),
        _ => {
            let given = object
                .fields
                .iter()
                .filter(|(_, field)| field.required && matches!(field.kind, Kind::Plain(Type::String)));
            given.filter_map(|(name, _)| values.get(name)?.text()).collect::<Vec<_>>().join("/")
        }
    }
}

fn read(file: &Path, object: &Object) -> Result<Option<Map>> {
    let text = match fs_err::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let json: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("{} is no JSON", file.display()))?;
    let Value::Map(values) = json.into() else { bail!("{} is no JSON object", file.display()) };
    if let Some(name) = values.keys().find(|name| !object.fields.contains_key(*name)) {
        bail!("{} has {name:?}, which the schema does not know", file.display());
    }
    Ok(Some(crate::fill::conformed(object, values)))
}
