//! Secret values, and the redactor that all output, errors and logs go through.
//!
//! A secret leaves this process in two ways only: in a child's environment, and in a file with mode 0600. It is never in an
//! argument, output, a log, a journal or a record.

mod env_file;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, RwLock};

use anyhow::{Context as _, Result, anyhow, bail};
use camino::Utf8Path;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::fs::{found, replace_file};

/// The replacement for a secret.
pub const MASK: &str = "[redacted]";

/// The length in bytes from which values are redacted. Shorter ones would match ordinary words; preflight warns about them.
pub const MIN_REDACTED: usize = 6;

/// Every character but RFC 3986's unreserved ones.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Secret values by the name of their environment variable.
#[derive(Clone, Default)]
pub struct Secrets {
    values: BTreeMap<String, SecretString>,
}

impl Secrets {
    /// Reads a file with the grammar of [`env_file`]. Empty if the file does not exist. Fails if other users can read it.
    pub fn read_file(path: &Utf8Path) -> Result<Self> {
        let text = match found(fs_err::read_to_string(path)) {
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
        let values = env_file::parse(&text).map_err(|wrong| anyhow!("{path}:{}: {}", wrong.line, wrong.what))?;
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

    /// A fingerprint of each value, which shows only whether it has changed: 32 bits of SHA-256 over scope, name and value. Records
    /// contain it.
    pub fn fingerprints(&self, scope: &str) -> BTreeMap<String, String> {
        self.iter()
            .map(|(name, value)| {
                let digest = Sha256::new()
                    .chain_update(scope)
                    .chain_update([0])
                    .chain_update(name)
                    .chain_update([0])
                    .chain_update(value.expose_secret())
                    .finalize();
                (name.to_owned(), hex::encode(&digest[..4]))
            })
            .collect()
    }
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
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).context("read 32 random bytes from the operating system")?;
    Ok(SecretString::from(hex::encode(bytes)))
}

/// Redacts every known secret in a text. Cheap to clone; clones share the known secrets.
#[derive(Clone, Default)]
pub struct Redactor {
    needles: Arc<RwLock<Vec<String>>>,
}

impl Redactor {
    /// Learns every value of `secrets`.
    pub fn learn(&self, secrets: &Secrets) {
        for (_, value) in secrets.iter() {
            self.learn_value(value);
        }
    }

    /// Learns a value in the forms in which it may occur: as it is, each of its lines, escaped in JSON, and percent-encoded.
    pub fn learn_value(&self, value: &SecretString) {
        let value = value.expose_secret();
        let json = serde_json::to_string(value).unwrap_or_default();
        let forms =
            [value.to_owned(), json.trim_matches('"').to_owned(), utf8_percent_encode(value, RESERVED).to_string()];
        let lines = value.lines().map(|line| line.trim().to_owned());
        let mut needles = self.needles.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        for form in forms.into_iter().chain(lines) {
            if form.len() >= MIN_REDACTED && !needles.contains(&form) {
                needles.push(form);
            }
        }
        // The longest first: a secret that contains another must be replaced as a whole.
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
    }

    /// The text with [`MASK`] in place of every known secret.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let needles = self.needles.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut text = Cow::Borrowed(text);
        for needle in needles.iter() {
            if text.contains(needle.as_str()) {
                text = Cow::Owned(text.replace(needle.as_str(), MASK));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_redacted_in_every_form() {
        let redactor = Redactor::default();
        redactor.learn_value(&SecretString::from("p\"ss wörd\nsecond line"));
        let json = serde_json::to_string("p\"ss wörd\nsecond line").unwrap();
        for text in ["say p\"ss wörd\nsecond line now", "p\"ss wörd", &json, "p%22ss%20w%C3%B6rd%0Asecond%20line"] {
            let redacted = redactor.redact(text);
            assert!(redacted.contains(MASK), "{redacted}");
            assert!(!redacted.contains("ss w") && !redacted.contains("second"), "{redacted}");
        }
    }

    #[test]
    fn the_longer_of_two_nested_secrets_is_redacted_first() {
        let redactor = Redactor::default();
        redactor.learn_value(&SecretString::from("abcdef"));
        redactor.learn_value(&SecretString::from("abcdefghij"));
        assert_eq!(redactor.redact("abcdefghij abcdef"), format!("{MASK} {MASK}"));
    }

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

    #[test]
    fn a_fingerprint_depends_on_value_and_scope() {
        let mut secrets = Secrets::default();
        secrets.insert("A", SecretString::from("one"));
        let one = secrets.fingerprints("local");
        assert_ne!(one, secrets.fingerprints("production"));
        secrets.insert("A", SecretString::from("two"));
        assert_ne!(one, secrets.fingerprints("local"));
    }
}
