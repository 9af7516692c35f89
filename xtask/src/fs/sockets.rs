//! Folders for Unix sockets, whose paths are limited to about a hundred bytes.

use std::io::{ErrorKind, Result};
use std::os::unix::fs::MetadataExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::symlink;

use super::{found, private_folder, temporary_folder};

/// The length of the longest folder. The path of a socket has at most 103 bytes on macOS and 107 on Linux, and
/// `/.s.PGSQL.65535` is the longest name in use.
const MAX_LENGTH: usize = 103 - "/.s.PGSQL.65535".len();

/// The folder of sockets at this path, which is made where it is missing. Where the path is too long for them, it is a link
/// to a folder in `/tmp` whose name cannot be guessed, so that no other user can make it first. `user` owns that folder, or
/// this process's user does.
///
/// It is not in `$XDG_RUNTIME_DIR`, which is removed when the user's last session ends: servers outlive sessions.
pub fn socket_folder(path: &Utf8Path, user: u32) -> Result<Utf8PathBuf> {
    if let Some(folder) = find_socket_folder(path, user)? {
        return Ok(folder);
    }
    // A link to a folder that is gone or another user's, or sockets whose folder had a shorter path once.
    match found(fs_err::symlink_metadata(path))? {
        Some(meta) if meta.is_symlink() => fs_err::remove_file(path)?,
        Some(meta) if meta.is_dir() && is_long(path) => fs_err::remove_dir_all(path)?,
        _ => {}
    }
    if !is_long(path) {
        private_folder(path)?;
        return Ok(path.to_owned());
    }
    let folder = temporary_folder("xtask-", Utf8Path::new("/tmp"))?;
    let folder = Utf8PathBuf::try_from(folder.keep()).map_err(|error| error.into_io_error())?;
    symlink(&folder, path)?;
    Ok(folder)
}

/// The same folder, if it is there.
pub fn find_socket_folder(path: &Utf8Path, user: u32) -> Result<Option<Utf8PathBuf>> {
    let Some(meta) = found(fs_err::symlink_metadata(path))? else { return Ok(None) };
    if !meta.is_symlink() {
        return Ok((!is_long(path) || !meta.is_dir()).then(|| path.to_owned()));
    }
    let target = Utf8PathBuf::try_from(fs_err::read_link(path)?).map_err(|error| error.into_io_error())?;
    let is_ours =
        |meta: &std::fs::Metadata| meta.is_dir() && [user, rustix::process::geteuid().as_raw()].contains(&meta.uid());
    match found(fs_err::symlink_metadata(&target)) {
        Ok(there) => Ok(there.filter(is_ours).map(|_| target).filter(|_| is_long(path))),
        Err(error) if error.kind() == ErrorKind::NotADirectory => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_long(path: &Utf8Path) -> bool {
    path.as_str().len() > MAX_LENGTH
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn sockets_of_a_long_path_are_in_a_folder_that_no_other_user_can_make_first() {
        let root = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(root.path()).unwrap().canonicalize_utf8().unwrap();
        let (short, me) = (root.join("run"), rustix::process::geteuid().as_raw());
        assert_eq!(find_socket_folder(&short, me).unwrap(), None);
        assert_eq!(socket_folder(&short, me).unwrap(), short);
        assert_eq!(find_socket_folder(&short, me).unwrap(), Some(short));

        let long = root.join("b".repeat(100)).join("run");
        fs_err::create_dir(long.parent().unwrap()).unwrap();
        let folder = socket_folder(&long, me).unwrap();
        assert!(!is_long(&folder) && folder.starts_with("/tmp"), "{folder}");
        assert_eq!(fs_err::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(socket_folder(&long, me).unwrap(), folder);
        assert_eq!(find_socket_folder(&long, me).unwrap(), Some(folder.clone()));

        // After a restart of the machine another user has taken the name, which was seen before.
        fs_err::remove_dir(&folder).unwrap();
        assert_eq!(find_socket_folder(&long, me).unwrap(), None);
        fs_err::os::unix::fs::symlink("/etc", &folder).unwrap();
        let other = socket_folder(&long, me).unwrap();
        assert_ne!(other, folder);
        fs_err::remove_file(&folder).unwrap();
        fs_err::remove_dir(&other).unwrap();
    }
}
