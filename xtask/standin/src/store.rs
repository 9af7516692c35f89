//! Stored resources: `<state>/<type>/<key>.json`. Editing or deleting a file causes drift.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::schema::{Field, Kind, Object, Type};
use crate::value::{Map, Value};

/// Every other character of a key is percent-encoded in the file name.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

#[derive(Debug)]
pub struct Store(PathBuf);

impl Store {
    /// Opens a folder, and creates it if necessary.
    pub fn open(folder: &Path) -> Result<Self> {
        fs_err::create_dir_all(folder)?;
        Ok(Self(folder.to_owned()))
    }

    /// Returns a resource, or `None` if it does not exist. Fails if the file is not a JSON object or has a field that the
    /// schema lacks.
    pub fn get(&self, name: &str, key: &str, object: &Object) -> Result<Option<Map>> {
        read(&self.file(name, key), object)
    }

    /// Returns all resources of a type.
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

    /// Stores a new resource. Fails if the key exists.
    pub fn create(&self, name: &str, key: &str, values: &Map) -> Result<()> {
        let (file, temporary) = self.write_temporary(name, key, values)?;
        match temporary.persist_noclobber(&file) {
            Ok(_) => Ok(()),
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
                bail!("{name} {key:?} already exists. To manage it with this stack, run: tofu import ADDRESS {key:?}")
            }
            Err(error) => Err(error.error).with_context(|| format!("write {}", file.display())),
        }
    }

    /// Stores a resource and replaces the previous values.
    pub fn replace(&self, name: &str, key: &str, values: &Map) -> Result<()> {
        let (file, temporary) = self.write_temporary(name, key, values)?;
        temporary.persist(&file).with_context(|| format!("write {}", file.display()))?;
        Ok(())
    }

    /// Removes a resource if it exists.
    pub fn remove(&self, name: &str, key: &str) -> Result<()> {
        match fs_err::remove_file(self.file(name, key)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn file(&self, name: &str, key: &str) -> PathBuf {
        self.0.join(name).join(format!("{}.json", utf8_percent_encode(key, UNRESERVED)))
    }

    /// Writes a temporary file in the same folder, for an atomic rename. Its mode is 0600, because resources contain
    /// secrets.
    fn write_temporary(&self, name: &str, key: &str, values: &Map) -> Result<(PathBuf, tempfile::NamedTempFile)> {
        let file = self.file(name, key);
        let folder = self.0.join(name);
        fs_err::create_dir_all(&folder)?;
        let context = || format!("write {}", file.display());
        let mut temporary = tempfile::NamedTempFile::new_in(&folder).with_context(context)?;
        let text = serde_json::to_string_pretty(&Value::Map(values.clone()).json()).expect("values are JSON");
        temporary.write_all(text.as_bytes()).with_context(context)?;
        Ok((file, temporary))
    }
}

/// Identifies a resource within its type: its id, or if it has none, its required strings joined with `/`. The key of
/// `cloudflare_r2_bucket_cors` is the account and the bucket's name.
pub fn key(object: &Object, values: &Map) -> String {
    match values.get("id") {
        Some(Value::String(id)) => id.clone(),
        _ => {
            let required = |field: &Field| field.required && matches!(field.kind, Kind::Plain(Type::String));
            let required = object.fields.iter().filter(|(_, field)| required(field));
            required.filter_map(|(name, _)| values.get(name)?.text()).collect::<Vec<_>>().join("/")
        }
    }
}

fn read(file: &Path, object: &Object) -> Result<Option<Map>> {
    let text = match fs_err::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let json: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?;
    let Value::Map(values) = json.into() else { bail!("{} is not a JSON object", file.display()) };
    if let Some(name) = values.keys().find(|name| !object.fields.contains_key(*name)) {
        bail!("{} has the field {name:?}, which the schema does not have", file.display());
    }
    Ok(Some(object.conform(values)))
}
