//! The folder of a state folder's Unix sockets.

use std::os::unix::fs::MetadataExt as _;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::getuid;
use sha2::{Digest as _, Sha256};

use super::Obstacle;
use crate::fs::{self, found, own_folder, private_folder};

/// The folder of this state folder's Unix sockets. Creates it, with mode 0700. It is `run` in the state folder, or a folder in
/// `/tmp` that `run` links to if that path is too long.
pub fn socket_folder(state_dir: &Utf8Path) -> Result<Utf8PathBuf> {
    private_folder(state_dir)?;
    let folder = fs::socket_folder(&checked(state_dir)?, getuid().as_raw())?;
    own_folder(&folder, None, 0o700)?;
    Ok(folder)
}

/// The same folder, if it exists.
pub(super) fn find_socket_folder(state_dir: &Utf8Path) -> Result<Option<Utf8PathBuf>> {
    let path = checked(state_dir)?;
    match fs::find_socket_folder(&path, getuid().as_raw())? {
        Some(folder) => Ok(Some(folder)),
        None => of_earlier_toolkit(&path),
    }
}

/// The folder in `/tmp` that earlier toolkits used for a long path. Their supervisors still answer there.
fn of_earlier_toolkit(path: &Utf8Path) -> Result<Option<Utf8PathBuf>> {
    let (user, state_dir) = (getuid().as_raw(), path.parent().context("the sockets are in no folder")?);
    let digest = Sha256::digest(state_dir.as_str());
    let folder = Utf8PathBuf::from(format!("/tmp/xtask-{user}-{}", hex::encode(&digest[..8])));
    let there = found(fs_err::symlink_metadata(&folder))?;
    Ok(there.filter(|there| there.is_dir() && there.uid() == user).map(|_| folder))
}

/// The path of `run`. Fails if something else is there, or another user's folder.
fn checked(state_dir: &Utf8Path) -> Result<Utf8PathBuf> {
    // Another path of the same folder must give the same sockets.
    let state_dir = fs_err::canonicalize(state_dir)?;
    let folder = Utf8PathBuf::try_from(state_dir).context("the state folder's path is not UTF-8")?.join("run");
    let Some(there) = found(fs_err::symlink_metadata(&folder))?.filter(|there| !there.is_symlink()) else {
        return Ok(folder);
    };
    if !there.is_dir() {
        bail!(Obstacle::NoFolder { folder });
    }
    let user = getuid().as_raw();
    if there.uid() != user {
        bail!(Obstacle::OtherUser { folder, owner: there.uid(), user });
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn every_path_of_a_folder_has_the_same_sockets_and_no_other_user_may_use_them() {
        let root = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(root.path()).unwrap().canonicalize_utf8().unwrap();
        let open = root.join("a/run");
        fs_err::create_dir_all(&open).unwrap();
        fs_err::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(socket_folder(&root.join("a")).unwrap(), open);
        assert_eq!(fs_err::metadata(&open).unwrap().mode() & 0o777, 0o700);

        let long = root.join("b".repeat(100));
        fs_err::create_dir(&long).unwrap();
        let digest = hex::encode(&Sha256::digest(long.as_str())[..8]);
        let earlier = Utf8PathBuf::from(format!("/tmp/xtask-{}-{digest}", getuid().as_raw()));
        assert_eq!(find_socket_folder(&long).unwrap(), None);
        fs_err::os::unix::fs::symlink("/tmp", &earlier).unwrap();
        assert_eq!(find_socket_folder(&long).unwrap(), None, "another user may have put it there");
        fs_err::remove_file(&earlier).unwrap();
        fs_err::create_dir(&earlier).unwrap();
        assert_eq!(find_socket_folder(&long).unwrap().as_ref(), Some(&earlier));
        let folder = socket_folder(&long).unwrap();
        fs_err::remove_dir(earlier).unwrap();
        assert_eq!(fs_err::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        assert_eq!(find_socket_folder(&long.join("../").join("b".repeat(100))).unwrap().as_ref(), Some(&folder));
        fs_err::remove_dir(folder).unwrap();
    }
}
