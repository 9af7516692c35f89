//! Where Unix sockets of a state folder live.

use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::getuid;
use sha2::{Digest as _, Sha256};

use crate::fs::found;

/// The longest folder that leaves room for a socket's name: the path of a socket has at most 103 bytes on macOS and 107 on
/// Linux, and `/.s.PGSQL.65535` is the longest name in use.
const LONGEST: usize = 103 - "/.s.PGSQL.65535".len();

/// The folder for this state folder's Unix sockets, made if it is missing, of mode 0700 and this user's own: `run` in
/// the state folder, or where that path is too long, a folder of `/tmp` named by the user and a hash of the path.
///
/// Never in `$XDG_RUNTIME_DIR`: it is not the same in every session of a user and it goes with the last one, and what
/// listens here outlives them.
pub fn socket_folder(state_dir: &Utf8Path) -> Result<Utf8PathBuf> {
    fs_err::create_dir_all(state_dir)?;
    let folder = place(state_dir)?;
    make_private(&folder)?;
    Ok(folder)
}

/// The same folder if it is there. Makes nothing: who only looks leaves no trace.
pub(super) fn find_socket_folder(state_dir: &Utf8Path) -> Result<Option<Utf8PathBuf>> {
    let folder = place(state_dir)?;
    if found(fs_err::symlink_metadata(&folder))?.is_none() {
        return Ok(None);
    }
    check(&folder).map(|_| Some(folder))
}

fn place(state_dir: &Utf8Path) -> Result<Utf8PathBuf> {
    // The same folder by another name must give the same sockets.
    let state_dir = fs_err::canonicalize(state_dir)?;
    let state_dir = Utf8PathBuf::try_from(state_dir).context("the state folder's path is not UTF-8")?;
    let mut folder = state_dir.join("run");
    if folder.as_str().len() > LONGEST {
        let digest = Sha256::digest(state_dir.as_str());
        folder = format!("/tmp/xtask-{}-{}", getuid().as_raw(), hex::encode(&digest[..8])).into();
    }
    Ok(folder)
}

/// Makes a folder of mode 0700, or makes sure that the one there is this user's own and nobody else's.
fn make_private(folder: &Utf8Path) -> Result<()> {
    let made = std::fs::DirBuilder::new().mode(0o700).create(folder);
    match made {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).with_context(|| format!("make the folder {folder}")),
    }
    let found = check(folder)?;
    if found.mode() & 0o777 != 0o700 {
        fs_err::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// A folder that is there must be this user's own.
fn check(folder: &Utf8Path) -> Result<std::fs::Metadata> {
    let found = fs_err::symlink_metadata(folder)?;
    if !found.is_dir() {
        bail!("{folder} should be a folder for Unix sockets and is something else; remove it, then try again");
    }
    let user = getuid().as_raw();
    if found.uid() != user {
        bail!("{folder} belongs to user {} and this is user {user}: work as that user, or remove it", found.uid());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_path_keeps_its_sockets_and_a_long_one_does_not() {
        let root = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(root.path()).unwrap().canonicalize_utf8().unwrap();
        assert_eq!(socket_folder(&root.join("a")).unwrap(), root.join("a/run"));

        let long = root.join("b".repeat(100));
        let folder = socket_folder(&long).unwrap();
        assert!(folder.as_str().len() <= LONGEST, "{folder}");
        assert_eq!(fs_err::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        assert_eq!(socket_folder(&long.join("../").join("b".repeat(100))).unwrap(), folder);
        fs_err::remove_dir(folder).unwrap();
    }

    #[test]
    fn a_link_is_refused_and_open_permissions_are_closed() {
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
