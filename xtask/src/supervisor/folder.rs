//! The folder of a state folder's Unix sockets.

use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::getuid;
use sha2::{Digest as _, Sha256};

use super::Obstacle;
use crate::fs::found;

/// The length of the longest folder. The path of a socket has at most 103 bytes on macOS and 107 on Linux, and
/// `/.s.PGSQL.65535` is the longest name in use.
const MAX_LENGTH: usize = 103 - "/.s.PGSQL.65535".len();

/// The folder of this state folder's Unix sockets. Creates it, with mode 0700. It is `run` in the state folder, or if that path
/// is too long, a folder in `/tmp` whose name has the user and a hash of the path.
///
/// It is not in `$XDG_RUNTIME_DIR`, which is removed when the user's last session ends. The supervisor outlives sessions.
pub fn socket_folder(state_dir: &Utf8Path) -> Result<Utf8PathBuf> {
    fs_err::create_dir_all(state_dir)?;
    let folder = path(state_dir)?;
    make_private(&folder)?;
    Ok(folder)
}

/// The same folder, if it exists.
pub(super) fn find_socket_folder(state_dir: &Utf8Path) -> Result<Option<Utf8PathBuf>> {
    let folder = path(state_dir)?;
    if found(fs_err::symlink_metadata(&folder))?.is_none() {
        return Ok(None);
    }
    check(&folder).map(|_| Some(folder))
}

fn path(state_dir: &Utf8Path) -> Result<Utf8PathBuf> {
    // Another path of the same folder must give the same sockets.
    let state_dir = fs_err::canonicalize(state_dir)?;
    let state_dir = Utf8PathBuf::try_from(state_dir).context("the state folder's path is not UTF-8")?;
    let mut folder = state_dir.join("run");
    if folder.as_str().len() > MAX_LENGTH {
        let digest = Sha256::digest(state_dir.as_str());
        folder = format!("/tmp/xtask-{}-{}", getuid().as_raw(), hex::encode(&digest[..8])).into();
    }
    Ok(folder)
}

/// Creates a folder with mode 0700, or sets that mode on an existing folder of this user.
fn make_private(folder: &Utf8Path) -> Result<()> {
    let made = std::fs::DirBuilder::new().mode(0o700).create(folder);
    match made {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).with_context(|| format!("create the folder {folder}")),
    }
    let found = check(folder)?;
    if found.mode() & 0o777 != 0o700 {
        fs_err::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Fails if the path is no folder, or another user's.
fn check(folder: &Utf8Path) -> Result<std::fs::Metadata> {
    let found = fs_err::symlink_metadata(folder)?;
    if !found.is_dir() {
        bail!(Obstacle::NoFolder { folder: folder.to_owned() });
    }
    let user = getuid().as_raw();
    if found.uid() != user {
        bail!(Obstacle::OtherUser { folder: folder.to_owned(), owner: found.uid(), user });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_a_long_path_are_in_tmp() {
        let root = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(root.path()).unwrap().canonicalize_utf8().unwrap();
        assert_eq!(socket_folder(&root.join("a")).unwrap(), root.join("a/run"));

        let long = root.join("b".repeat(100));
        let folder = socket_folder(&long).unwrap();
        assert!(folder.as_str().len() <= MAX_LENGTH, "{folder}");
        assert_eq!(fs_err::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        assert_eq!(socket_folder(&long.join("../").join("b".repeat(100))).unwrap(), folder);
        fs_err::remove_dir(folder).unwrap();
    }

    #[test]
    fn a_link_is_refused_and_permissions_are_restricted() {
        let root = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(root.path()).unwrap();
        let (open, link) = (root.join("open"), root.join("link"));
        fs_err::create_dir(&open).unwrap();
        fs_err::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
        fs_err::os::unix::fs::symlink(&open, &link).unwrap();
        assert!(make_private(&link).is_err());
        make_private(&open).unwrap();
        assert_eq!(fs_err::metadata(&open).unwrap().mode() & 0o777, 0o700);
    }
}
