//! A text file that people write, with positions for its problems.

use std::io::{ErrorKind, Read as _};

use camino::{Utf8Path, Utf8PathBuf};

use super::problem::{Position, Problem};
use crate::fs::project::{self, PathError};

/// The largest file, in bytes.
const MAX_SIZE: u64 = 1024 * 1024;

/// The text of a file, and its name in messages.
pub(super) struct TextFile {
    pub(super) name: Utf8PathBuf,
    pub(super) text: String,
}

impl TextFile {
    /// Reads `root`/`name`. `missing` is the hint if there is no such file.
    pub(super) fn read(root: &Utf8Path, name: &Utf8Path, missing: &str) -> Result<Self, Problem> {
        let refuse = |message: String, hint: &str| whole(name, message, hint);
        let path = match project::place(root, name) {
            Ok(place) => place.unwrap_or_else(|| root.join(name)),
            Err(PathError::Io(_)) => root.join(name),
            Err(error) => return Err(refuse(error.to_string(), "put a text file in its place")),
        };
        let unreadable = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => refuse(format!("not found; looked for {path}"), missing),
            _ => refuse(format!("cannot be read: {error}"), "make it a file that you can read"),
        };
        // Checked before it is opened, because opening a pipe blocks.
        let about = fs_err::metadata(&path).map_err(unreadable)?;
        if !about.is_file() {
            let found = if about.is_dir() { "a folder" } else { "a special file" };
            return Err(refuse(
                format!("found {found} at {path}, expected a text file"),
                "put a text file in its place",
            ));
        }
        let mut bytes = Vec::new();
        let file = fs_err::File::open(&path).map_err(unreadable)?;
        file.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MAX_SIZE {
            return Err(refuse("larger than 1 MiB".to_owned(), "check whether another file was saved under this name"));
        }
        Self::from_bytes(name, bytes)
    }

    /// Reads the bytes of the file, which must be UTF-8.
    pub(super) fn from_bytes(name: &Utf8Path, bytes: Vec<u8>) -> Result<Self, Problem> {
        let (text, broken) = match String::from_utf8(bytes) {
            Ok(text) => (text, None),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let wrong = error.as_bytes()[valid];
                (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some((valid, wrong)))
            }
        };
        let file = Self { name: name.to_owned(), text };
        if let Some((offset, byte)) = broken {
            let message = format!("not text in UTF-8: found the byte 0x{byte:02x}");
            return Err(file.problem(file.position(offset), message, "save the file as UTF-8"));
        }
        if let Some((offset, control)) = file.text.char_indices().find(|(_, c)| is_binary(*c)) {
            let message = format!("not text: found the control character U+{:04X}", u32::from(control));
            return Err(file.problem(file.position(offset), message, "remove it, or put back the text file"));
        }
        Ok(file)
    }

    /// The position of a byte in the text.
    pub(super) fn position(&self, offset: usize) -> Position {
        let before = &self.text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }

    /// A problem without a key.
    pub(super) fn problem(&self, at: Position, message: impl Into<String>, hint: impl Into<String>) -> Problem {
        Problem { at: Some(at), ..whole(&self.name, message, hint) }
    }
}

/// A problem of the whole file.
pub(super) fn whole(name: &Utf8Path, message: impl Into<String>, hint: impl Into<String>) -> Problem {
    Problem { file: name.to_owned(), at: None, key: String::new(), message: message.into(), hint: hint.into() }
}

/// Whether a character does not occur in text.
fn is_binary(c: char) -> bool {
    c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}')
}
