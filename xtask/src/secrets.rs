//! Secret values, the redactor that all output, errors and logs go through, and the fingerprints that records have.
//!
//! A secret leaves this process in two ways only: in a child's environment, and in a file with mode 0600. It is never in an
//! argument, output, a log, a journal or a record.

mod env_file;
mod fingerprint;
mod forms;
mod redactor;
mod search;
mod views;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result, anyhow, bail};
use camino::Utf8Path;
use secrecy::{ExposeSecret as _, SecretString};

pub use self::fingerprint::{FingerprintKey, ROUNDS, comparable, derived_key};
pub use self::forms::has_password;
pub use self::redactor::{MASK, MIN_REDACTED, Redactor};
pub use self::search::shortened;
use crate::fs::{found, read_text, replace_file};

/// A word of a variable's name that says that its value is secret.
const SECRET_WORDS: [&str; 12] = [
    "APIKEY",
    "CREDENTIAL",
    "CREDENTIALS",
    "KEY",
    "KEYS",
    "PASS",
    "PASSPHRASE",
    "PASSWD",
    "PASSWORD",
    "SECRET",
    "SECRETS",
    "TOKEN",
];

/// Secret values by the name of their environment variable.
#[derive(Clone, Default)]
pub struct Secrets {
    values: BTreeMap<String, SecretString>,
}

impl Secrets {
    /// Reads a file with the grammar of [`env_file`]. Empty if the file does not exist. Fails if other users can read it.
    pub fn read_file(path: &Utf8Path) -> Result<Self> {
        let text = match found(read_text(path)) {
            Ok(Some(text)) => text,
            Ok(None) => return Ok(Self::default()),
            // A parent is a file. The operation that needs the folder reports that.
            Err(error) if error.kind() == ErrorKind::NotADirectory => return Ok(Self::default()),
            Err(error) => return Err(error.into()),
        };
        let mode = fs_err::metadata(path)?.permissions().mode();
        if mode & 0o077 != 0 {
            bail!("other users can read the secrets in {path} (mode {:04o}); type: chmod 600 {path}", mode & 0o7777);
        }
        Self::parse_as(&text, path.as_str())
    }

    /// Reads a text with the same grammar, for example what a program printed.
    pub fn parse(text: &str) -> Result<Self> {
        Self::parse_as(text, "line")
    }

    fn parse_as(text: &str, name: &str) -> Result<Self> {
        let values = env_file::parse(text).map_err(|wrong| anyhow!("{name}:{}: {}", wrong.line, wrong.what))?;
        Ok(Self { values: values.into_iter().map(|(name, value)| (name, SecretString::from(value))).collect() })
    }

    /// Writes all values to a file with mode 0600, atomically.
    pub fn write_file(&self, path: &Utf8Path) -> Result<()> {
        let mut text =
            String::from("# Secrets of this environment, generated on this machine. Do not share this file.\n");
        for (name, value) in &self.values {
            let value = value.expose_secret();
            writeln!(text, "{name}={}", env_file::quote(value)).expect("writing to a String cannot fail");
        }
        replace_file(path, text.as_bytes())
    }

    /// Sets values in a file with the same grammar, or removes those without a value. Everything else in it stays as it is. Makes the
    /// file where it is missing, with mode 0600. A link stays a link.
    pub fn edit_file(path: &Utf8Path, changes: &[(&str, Option<&SecretString>)]) -> Result<()> {
        // That other users cannot read it.
        Self::read_file(path)?;
        let text = found(read_text(path))?;
        let target = if text.is_some() { path.canonicalize_utf8()? } else { path.to_owned() };
        let changes: Vec<_> = changes.iter().map(|(name, value)| (*name, value.map(|v| v.expose_secret()))).collect();
        let edited = env_file::edit(&text.unwrap_or_default(), &changes);
        let edited = edited.map_err(|wrong| anyhow!("{path}:{}: {}", wrong.line, wrong.what))?;
        replace_file(&target, edited.as_bytes())
    }

    /// The value with this name.
    pub fn get(&self, name: &str) -> Option<&SecretString> {
        self.values.get(name)
    }

    /// Sets or replaces a value.
    pub fn insert(&mut self, name: impl Into<String>, value: SecretString) {
        self.values.insert(name.into(), value);
    }

    /// Names and values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &SecretString)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// Whether the name of a variable says that its value is secret: one of its words, between `_`, does.
pub fn is_secret_name(name: &str) -> bool {
    name.to_ascii_uppercase().split('_').any(|word| SECRET_WORDS.contains(&word))
}

/// The value of this process's environment variable; none if it is not set or empty.
pub fn of_process(name: &str) -> Result<Option<SecretString>> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty()).map(SecretString::from)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => bail!("the value of {name} in the environment is not UTF-8"),
    }
}

/// 32 random bytes from the operating system, as 64 hexadecimal digits.
pub fn generate() -> Result<SecretString> {
    random(32)
}

/// So many random bytes from the operating system, in hexadecimal digits.
pub fn random(bytes: usize) -> Result<SecretString> {
    let mut bytes = vec![0u8; bytes];
    getrandom::fill(&mut bytes).context("read random bytes from the operating system")?;
    Ok(SecretString::from(hex::encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = camino::Utf8PathBuf::from_path_buf(folder.path().join("secrets.env")).unwrap();
        let mut secrets = Secrets::default();
        let values =
            [("A", "plain"), ("B", "with \"quotes\", $dollar, %, \\ and 'single'"), ("C", "two\nlines ä"), ("D", "")];
        for (name, value) in values {
            secrets.insert(name, SecretString::from(value));
        }
        secrets.write_file(&path).unwrap();
        assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read = Secrets::read_file(&path).unwrap();
        for (name, value) in values {
            assert_eq!(read.get(name).unwrap().expose_secret(), value);
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = camino::Utf8PathBuf::from_path_buf(folder.path().join("secrets.env")).unwrap();
        fs_err::write(&path, "A=b\n").unwrap();
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = Secrets::read_file(&path).err().unwrap().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }
}
