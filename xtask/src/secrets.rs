//! Secret values: where they come from, and the one redactor between everything a child, an error or a log says and
//! the outside.
//!
//! A secret leaves this process in two ways only: in a child's environment, and in a file of mode 0600. It is never an
//! argument, a line of output, a log, a journal or a record.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, RwLock};

use anyhow::{Context as _, Result, bail};
use camino::Utf8Path;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::fs::{found, replace_file};

/// What stands where a secret was.
pub const MASK: &str = "[redacted]";

/// Values shorter than this many bytes are not masked: they would blot out ordinary words. Preflight warns of them.
pub const SHORTEST_MASKED: usize = 6;

/// Secret values by the name of the environment variable that carries them.
#[derive(Clone, Default)]
pub struct Secrets {
    values: BTreeMap<String, SecretString>,
}

impl Secrets {
    /// Reads a file of `NAME=value` lines. A file that others can read is refused, and so is a line that is neither
    /// blank, a comment nor an assignment. A file that is not there has no secrets.
    pub fn read_file(path: &Utf8Path) -> Result<Self> {
        let text = match found(fs_err::read_to_string(path)) {
            Ok(Some(text)) => text,
            Ok(None) => return Ok(Self::default()),
            // A file where its folder should be is reported by what needs the folder.
            Err(error) if error.kind() == ErrorKind::NotADirectory => return Ok(Self::default()),
            Err(error) => return Err(error.into()),
        };
        let mode = fs_err::metadata(path)?.permissions().mode();
        if mode & 0o077 != 0 {
            bail!("{path} holds secrets and others can read it (mode {:04o}); type: chmod 600 {path}", mode & 0o7777);
        }
        let mut values = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let (name, value) = match parse_line(line) {
                Line::Blank => continue,
                Line::Assignment(name, value) => (name, value),
                Line::Neither => bail!("{path}:{}: neither NAME=value nor a comment", index + 1),
            };
            if values.insert(name.to_owned(), SecretString::from(value)).is_some() {
                bail!("{path}:{}: {name} is set twice", index + 1);
            }
        }
        Ok(Self { values })
    }

    /// Writes all of them to a file of mode 0600, whole or not at all.
    pub fn write_file(&self, path: &Utf8Path) -> Result<()> {
        let mut text =
            String::from("# Secrets of this environment, made on this machine. Keep this file to yourself.\n");
        for (name, value) in &self.values {
            let value = value.expose_secret();
            writeln!(text, "{name}={}", quote(value)).expect("writing to a String cannot fail");
        }
        replace_file(path, text.as_bytes())
    }

    /// The value under this name.
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

    /// A short mark of each value that tells a change of it and nothing more: 32 bits of SHA-256 over scope, name and
    /// value. Goes into records.
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

/// The value of a variable of this process; none where it is not set or empty.
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

/// Masks every known secret in a text. Cheap to clone; clones share what they know.
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

    /// Learns one value, in the forms in which it may come back: as it is, each of its lines, as it stands inside JSON,
    /// and percent-encoded.
    pub fn learn_value(&self, value: &SecretString) {
        let value = value.expose_secret();
        let json = serde_json::to_string(value).unwrap_or_default();
        let forms = [value.to_owned(), json.trim_matches('"').to_owned(), percent_encode(value)];
        let lines = value.lines().map(|line| line.trim().to_owned());
        let mut needles = self.needles.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        for form in forms.into_iter().chain(lines) {
            if form.len() >= SHORTEST_MASKED && !needles.contains(&form) {
                needles.push(form);
            }
        }
        // The longest first, or a secret that contains another would leave its rest behind.
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
    }

    /// The text with [`MASK`] wherever a known secret stood.
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

enum Line<'a> {
    Blank,
    Assignment(&'a str, String),
    Neither,
}

fn parse_line(line: &str) -> Line<'_> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Line::Blank;
    }
    let Some((name, value)) = line.split_once('=') else { return Line::Neither };
    let name = name.trim().trim_start_matches("export ").trim();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(is_name) {
        return Line::Neither;
    }
    match unquote(value.trim()) {
        Some(value) => Line::Assignment(name, value),
        None => Line::Neither,
    }
}

/// Double quotes take `\n`, `\"` and `\\`; single quotes take everything as it is; no quotes take the rest of the line.
fn unquote(value: &str) -> Option<String> {
    if let Some(inner) = value.strip_prefix('\'') {
        return inner.strip_suffix('\'').map(str::to_owned);
    }
    let Some(inner) = value.strip_prefix('"') else { return Some(value.to_owned()) };
    let inner = inner.strip_suffix('"')?;
    let mut plain = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next()? {
                'n' => plain.push('\n'),
                escaped @ ('"' | '\\' | '$') => plain.push(escaped),
                _ => return None,
            },
            '"' => return None,
            plain_character => plain.push(plain_character),
        }
    }
    Some(plain)
}

fn quote(value: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || "-_./:@?=&+%".contains(c);
    if !value.is_empty() && value.chars().all(bare) {
        return value.to_owned();
    }
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

fn percent_encode(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a String cannot fail");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_masked_in_every_form_it_comes_back_in() {
        let redactor = Redactor::default();
        redactor.learn_value(&SecretString::from("p\"ss wörd\nsecond line"));
        let json = serde_json::to_string("p\"ss wörd\nsecond line").unwrap();
        for text in ["say p\"ss wörd\nsecond line now", "p\"ss wörd", &json, "p%22ss%20w%C3%B6rd%0Asecond%20line"] {
            let masked = redactor.redact(text);
            assert!(masked.contains(MASK), "{masked}");
            assert!(!masked.contains("ss w") && !masked.contains("second"), "{masked}");
        }
    }

    #[test]
    fn the_longer_of_two_nested_secrets_goes_first() {
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
    fn a_fingerprint_tells_a_change_and_its_scope() {
        let mut secrets = Secrets::default();
        secrets.insert("A", SecretString::from("one"));
        let one = secrets.fingerprints("local");
        assert_ne!(one, secrets.fingerprints("production"));
        secrets.insert("A", SecretString::from("two"));
        assert_ne!(one, secrets.fingerprints("local"));
    }
}
