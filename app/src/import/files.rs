//! The files of a folder: which are sent, and what is known of one before it is.

use std::{
    fs::{File, FileType, Metadata},
    io::{self, Read as _},
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{Stream, stream};
use ring::digest::{self, SHA256};

use crate::content;

/// What is read of a file at once, in bytes.
const CHUNK: usize = 128 << 10;

/// What a folder has.
#[derive(Debug)]
pub struct Entry {
    pub path: PathBuf,
    /// Why it is not looked into: hidden, no file, or unreadable.
    pub refused: Result<(), NotSent>,
}

/// Why a file is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// It is none that the gallery is for.
    Skipped(String),
    Failed(String),
}

/// A picture or a clip, by its content, with its hash. It stays open: what is sent is what was hashed, or nothing is sent.
#[derive(Debug)]
pub struct MediaFile {
    file: Arc<File>,
    version: Version,
    pub sha256: [u8; 32],
}

/// Differs after a change of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    size: u64,
    modified: (i64, i64),
}

/// Reading a file failed while it was sent; or the file changed, and the rest of it was not sent.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ReadError(String);

/// All entries below a folder, by name. Links are not followed, hidden folders not entered.
///
/// # Errors
/// If the folder itself cannot be read.
pub fn walk(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        let listed = fs_err::read_dir(&current).and_then(|listed| listed.collect::<io::Result<Vec<_>>>());
        let mut listed = match listed {
            Ok(listed) => listed,
            Err(error) if current == folder => return Err(error),
            Err(error) => {
                entries.push(Entry { path: current, refused: Err(failed("the folder cannot be read", &error)) });
                continue;
            }
        };
        listed.sort_by_key(fs_err::DirEntry::file_name);
        let mut below = Vec::new();
        for entry in listed {
            let path = entry.path();
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && !is_hidden => below.push(path),
                Ok(kind) => entries.push(Entry { path, refused: refuse(kind, is_hidden) }),
                Err(error) => entries.push(Entry { path, refused: Err(failed("it cannot be read", &error)) }),
            }
        }
        folders.extend(below.into_iter().rev());
    }
    Ok(entries)
}

fn refuse(kind: FileType, is_hidden: bool) -> Result<(), NotSent> {
    let reason = match kind {
        _ if is_hidden => "it is hidden",
        kind if kind.is_symlink() => "it is a link",
        kind if !kind.is_file() => "it is not a file",
        _ => return Ok(()),
    };
    Err(NotSent::Skipped(reason.to_owned()))
}

fn failed(what: &str, error: &io::Error) -> NotSent {
    // `fs_err` puts the path before it, and the path is told anyway.
    let cause =
        error.get_ref().and_then(std::error::Error::source).map_or_else(|| error.to_string(), ToString::to_string);
    NotSent::Failed(format!("{what}: {cause}"))
}

impl MediaFile {
    /// Opens a file, looks at its type as the service does, and hashes it.
    pub fn open(path: &Path) -> Result<Self, NotSent> {
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => NotSent::Failed("it is gone".to_owned()),
            _ => failed("it cannot be read", &error),
        };
        // It may have become a link or a pipe since the folder was listed.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let mut file = File::options().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(NotSent::Skipped("it is not a file".to_owned()));
        }
        let version = Version::of(&metadata);
        if version.size == 0 {
            return Err(NotSent::Skipped("it is empty".to_owned()));
        }
        let mut head = Vec::new();
        (&mut file).take(content::HEAD).read_to_end(&mut head).map_err(unreadable)?;
        content::detect(&head).map_err(|error| NotSent::Skipped(error.to_string()))?;
        let mut hash = digest::Context::new(&SHA256);
        hash.update(&head);
        let mut chunk = vec![0; CHUNK];
        loop {
            match file.read(&mut chunk).map_err(unreadable)? {
                0 => break,
                read => hash.update(&chunk[..read]),
            }
        }
        if Version::of(&file.metadata().map_err(unreadable)?) != version {
            return Err(NotSent::Failed("it changed while it was read".to_owned()));
        }
        let sha256 = hash.finish().as_ref().try_into().expect("a SHA-256 has 32 bytes");
        Ok(Self { file: Arc::new(file), version, sha256 })
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        self.version.size
    }

    /// `length` bytes from `offset` on. The last ones come only if the file is still what was hashed.
    pub fn read(&self, offset: u64, length: u64) -> impl Stream<Item = Result<Bytes, ReadError>> + Send + 'static {
        let (file, version, end) = (self.file.clone(), self.version, offset + length);
        stream::try_unfold(offset, move |offset| {
            let file = file.clone();
            async move {
                if offset == end {
                    return Ok(None);
                }
                let length = usize::try_from(end - offset).unwrap_or(CHUNK).min(CHUNK);
                let read = tokio::task::spawn_blocking(move || {
                    let mut chunk = vec![0; length];
                    // By its place: an attempt that was given up may still be reading.
                    file.read_exact_at(&mut chunk, offset)?;
                    Ok::<_, io::Error>((chunk, Version::of(&file.metadata()?)))
                });
                let changed = || ReadError("it changed while it was sent".to_owned());
                let (chunk, now) =
                    read.await.map_err(io::Error::other).flatten().map_err(|error| match error.kind() {
                        io::ErrorKind::UnexpectedEof => changed(),
                        _ => ReadError(format!("it cannot be read: {error}")),
                    })?;
                let next = offset + chunk.len() as u64;
                if next == end && now != version {
                    return Err(changed());
                }
                Ok(Some((Bytes::from(chunk), next)))
            }
        })
    }
}

impl Version {
    fn of(metadata: &Metadata) -> Self {
        Self { size: metadata.size(), modified: (metadata.mtime(), metadata.mtime_nsec()) }
    }
}

/// A path for a terminal: what could control one, and what is no UTF-8, is replaced.
pub fn shown(path: &Path) -> String {
    without_controls(&path.to_string_lossy())
}

/// A text for a terminal, which obeys control characters.
pub fn without_controls(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// What the service accepts as the name of this file: its own, with `_` for what has a meaning in paths or terminals.
pub fn media_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.replace(|c: char| c.is_control() || c == '\\', "_")
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

    use futures_util::TryStreamExt as _;

    use super::*;

    const GIF: &[u8] = b"GIF89a of the tests";

    #[test]
    fn links_are_not_followed_and_what_is_hidden_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for below in ["b/deep", ".git"] {
            fs_err::create_dir_all(root.join(below)).unwrap();
        }
        for file in ["a.gif", "b/deep/c.gif", "b/.hidden.gif", ".git/d.gif"] {
            fs_err::write(root.join(file), GIF).unwrap();
        }
        std::os::unix::fs::symlink(root, root.join("b/loop")).unwrap();
        let told = |entry: Entry| {
            let path = entry.path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            (path, entry.refused.err())
        };
        let found: Vec<_> = walk(root).unwrap().into_iter().map(told).collect();
        let skipped = |reason: &str| Some(NotSent::Skipped(reason.to_owned()));
        let expected = [
            (".git", skipped("it is hidden")),
            ("a.gif", None),
            ("b/.hidden.gif", skipped("it is hidden")),
            ("b/loop", skipped("it is a link")),
            ("b/deep/c.gif", None),
        ];
        assert_eq!(found, expected.map(|(path, refused)| (path.to_owned(), refused)));
        assert!(walk(&root.join("a.gif")).is_err(), "a file is no folder");
        let link = MediaFile::open(&root.join("b/loop"));
        assert!(matches!(&link, Err(NotSent::Failed(reason)) if reason.contains("link")), "{link:?}");
    }

    #[tokio::test]
    async fn the_last_bytes_of_a_changed_file_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.gif");
        let bytes = [GIF, &vec![7; 3 * CHUNK]].concat();
        fs_err::write(&path, &bytes).unwrap();
        let file = MediaFile::open(&path).unwrap();
        assert_eq!(file.sha256.as_slice(), digest::digest(&SHA256, &bytes).as_ref());
        let read = async |offset| {
            let chunks: Result<Vec<Bytes>, _> = file.read(offset, file.size() - offset).try_collect().await;
            chunks.map(|chunks| chunks.concat())
        };
        assert_eq!(read(5).await.unwrap(), bytes[5..]);

        fs_err::OpenOptions::new().append(true).open(&path).unwrap().set_len(20).unwrap();
        assert_eq!(read(0).await.unwrap_err().to_string(), "it changed while it was sent");
        fs_err::write(&path, vec![8; bytes.len()]).unwrap();
        assert_eq!(read(0).await.unwrap_err().to_string(), "it changed while it was sent");
    }

    #[test]
    fn names_become_names_of_media() {
        for (name, expected) in [
            (&b"Loma \xe2\x98\x80.jpg"[..], "Loma \u{2600}.jpg"),
            (b"p\xe4iv\xe4.jpg", "p\u{fffd}iv\u{fffd}.jpg"),
            (b"a\\b\nc\x1b[2J.png", "a_b_c_[2J.png"),
        ] {
            let name = media_name(&Path::new("/folder").join(OsStr::from_bytes(name)));
            assert_eq!(name, expected);
            assert_eq!(crate::validate::name(&name), Ok(expected));
        }
        assert_eq!(shown(Path::new("a\u{1b}[2J\r\n")), "a\u{fffd}[2J\u{fffd}\u{fffd}");
    }
}
