//! Files of this machine: replaced whole, looked for, locked, kept from other users, and read from their end; and those of the
//! project.

mod lock;
mod private;
pub mod project;
mod sockets;
mod tail;
mod whole;

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result};
use camino::Utf8Path;

pub use self::lock::{Lock, LockError};
pub use self::private::{Owner, give_folder, open_of, own_folder, private_folder, temporary_folder};
pub use self::sockets::{find_socket_folder, socket_folder};
pub use self::tail::{tail, tail_of};
pub use self::whole::{LARGEST, read_file, read_text};

/// Writes a file that only this user can read, whole or not at all: a reader, and a machine that loses power, finds the
/// old content or the new. When this returns, the new content is on disk.
pub fn replace_file(path: &Utf8Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes, 0o600)?;
    sync_name(path)
}

/// The same in half the time: a machine that loses power right after this may come up with the old content.
pub fn replace_file_soon(path: &Utf8Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes, 0o600)
}

/// Writes a file of the project, which every user can read, whole or not at all.
pub fn replace_source(path: &Utf8Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes, 0o644)
}

/// A file that is missing is `None`; every other error stays one.
pub fn found<T>(result: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn replace(path: &Utf8Path, bytes: &[u8], mode: u32) -> Result<()> {
    let folder = folder(path)?;
    // A process that is killed leaves it. git then ignores that of `.env.production` as it ignores `.env.*`.
    let name = path.file_name().unwrap_or_default().trim_start_matches('.');
    let mut file = tempfile::Builder::new()
        .prefix(&format!(".{name}-"))
        .permissions(std::fs::Permissions::from_mode(mode))
        .tempfile_in(folder)
        .with_context(|| format!("write a file in {folder}"))?;
    if mode != 0o600 {
        // The process's umask may have taken something off.
        file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    }
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).with_context(|| format!("write {path}"))?;
    file.persist(path).with_context(|| format!("put {path} in its place"))?;
    Ok(())
}

/// A file's new name is on disk only when its folder is.
fn sync_name(path: &Utf8Path) -> Result<()> {
    Ok(fs_err::File::open(folder(path)?)?.sync_all()?)
}

fn folder(path: &Utf8Path) -> Result<&Utf8Path> {
    match path.parent().with_context(|| format!("{path} is in no folder"))? {
        here if here == "" => Ok(Utf8Path::new(".")),
        folder => Ok(folder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_missing_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str| fs_err::read(folder.path().join(name));
        assert!(found(open("no-such-file")).unwrap().is_none());
        fs_err::write(folder.path().join("file"), "text").unwrap();
        assert_eq!(found(open("file")).unwrap().unwrap(), b"text");
        assert!(found(open("file/below")).is_err(), "a file has nothing below it");
    }

    #[test]
    fn a_file_is_replaced_with_its_mode_and_leaves_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        let mode = |name: &str| fs_err::metadata(root.join(name)).unwrap().permissions().mode() & 0o777;
        for content in ["one", "two"] {
            replace_file(&root.join("private"), content.as_bytes()).unwrap();
            replace_source(&root.join("source"), content.as_bytes()).unwrap();
            assert_eq!(fs_err::read_to_string(root.join("private")).unwrap(), content);
        }
        assert_eq!((mode("private"), mode("source")), (0o600, 0o644));
        assert_eq!(root.read_dir_utf8().unwrap().count(), 2);
        assert!(format!("{:#}", replace_file(&root.join("no/file"), b"").unwrap_err()).contains("no"));
    }
}
