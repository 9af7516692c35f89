//! Files and folders that other users of the machine must not change or read, with any umask of this process, and also where
//! those users may write beside them.

use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};

use camino::Utf8Path;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::process::geteuid;
use tempfile::TempDir;

/// A user and a group, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// Makes a folder that this user alone may enter, and the folders above it that are missing. One that is there already is
/// closed to the reading and writing of others; that they may pass through it stays as it is.
pub fn private_folder(path: &Utf8Path) -> Result<()> {
    make(path, true)?;
    let meta = fs_err::metadata(path)?;
    let mode = meta.permissions().mode() & 0o7777;
    if meta.uid() == geteuid().as_raw() && mode & 0o066 != 0 {
        fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode & !0o066))?;
    }
    Ok(())
}

/// Makes a folder with this mode, for this owner if one is named, or gives it both where it is there already. Refuses a link,
/// and the folder of any other user: in `/tmp`, every user may have made it.
pub fn own_folder(path: &Utf8Path, owner: Option<Owner>, mode: u32) -> Result<()> {
    match make(path, false) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        made => made?,
    }
    let folder = open_folder(path)?;
    let meta = folder.metadata()?;
    let this = geteuid().as_raw();
    if meta.uid() != this && owner.is_none_or(|owner| owner.uid != meta.uid()) {
        return Err(Error::new(
            ErrorKind::PermissionDenied,
            format!("{path} belongs to user {}, and this is user {this}; remove it", meta.uid()),
        ));
    }
    // The mode comes last: with it, others may enter.
    if let Some(owner) = owner.filter(|owner| (owner.uid, owner.gid) != (meta.uid(), meta.gid())) {
        rustix::fs::fchown(&folder, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))?;
    }
    if meta.permissions().mode() & 0o7777 != mode {
        rustix::fs::fchmod(&folder, Mode::from_raw_mode(mode as _))?;
    }
    Ok(())
}

/// A folder with a name that cannot be guessed, for this user alone. It is removed with its value.
pub fn temporary_folder(prefix: &str, parent: &Utf8Path) -> Result<TempDir> {
    // By default the umask decides.
    let private = std::fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().prefix(prefix).rand_bytes(12).permissions(private).tempdir_in(parent)
}

/// Gives everything in a folder to another user, and last the folder, so that what was interrupted is repeated. No link is
/// followed, and a file with a second name stays this user's: that name may be in any other folder.
pub fn give_folder(path: &Utf8Path, owner: Owner) -> Result<()> {
    give(&open_folder(path)?, owner)
        .map_err(|error| Error::new(error.kind(), format!("give {path} to user {}: {error}", owner.uid)))
}

/// Opens a file for reading in a folder where a less privileged user may write. That user could have put a link, a pipe or a
/// second name of another file there, so only a plain file of that user is opened.
pub fn open_of(path: &Utf8Path, uid: u32) -> Result<fs_err::File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = fs_err::OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() || meta.uid() != uid || meta.nlink() != 1 {
        return Err(Error::new(ErrorKind::PermissionDenied, format!("{path} is not a plain file of user {uid}")));
    }
    Ok(file)
}

fn make(path: &Utf8Path, recursive: bool) -> Result<()> {
    let made = std::fs::DirBuilder::new().recursive(recursive).mode(0o700).create(path);
    made.map_err(|error| Error::new(error.kind(), format!("create the folder {path}: {error}")))
}

fn open_folder(path: &Utf8Path) -> Result<fs_err::File> {
    let flags = OFlags::NOFOLLOW | OFlags::DIRECTORY;
    fs_err::OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

fn give(folder: &impl std::os::fd::AsFd, owner: Owner) -> Result<()> {
    let (uid, gid) = (Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)));
    for entry in rustix::fs::Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let meta = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(meta.st_mode) {
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                give(&rustix::fs::openat(folder, name, flags, Mode::empty())?, owner)?;
            }
            FileType::RegularFile if meta.st_nlink > 1 => {}
            _ => rustix::fs::chownat(folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?,
        }
    }
    Ok(rustix::fs::fchown(folder, uid, gid)?)
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;
    use crate::tools::platform;

    fn scratch() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::try_from(folder.path().canonicalize().unwrap()).unwrap();
        (folder, root)
    }

    fn mode(path: &Utf8Path) -> u32 {
        fs_err::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn change_mode(path: &Utf8Path, mode: u32) {
        fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_is_private_and_one_that_was_open_is_closed() {
        let (_folder, root) = scratch();
        private_folder(&root.join("a/b")).unwrap();
        assert_eq!((mode(&root.join("a")), mode(&root.join("a/b"))), (0o700, 0o700));
        for (open, closed) in [(0o777, 0o711), (0o755, 0o711), (0o711, 0o711), (0o770, 0o710), (0o700, 0o700)] {
            change_mode(&root.join("a"), open);
            private_folder(&root.join("a")).unwrap();
            assert_eq!(mode(&root.join("a")), closed, "{open:o}");
        }
    }

    #[test]
    fn a_temporary_folder_is_private() {
        let (_folder, root) = scratch();
        let made = temporary_folder(".new-", &root).unwrap();
        assert_eq!(mode(Utf8Path::from_path(made.path()).unwrap()), 0o700);
    }

    #[test]
    fn a_link_and_the_folder_of_another_user_are_refused() {
        let (_folder, root) = scratch();
        own_folder(&root.join("own"), None, 0o710).unwrap();
        own_folder(&root.join("own"), None, 0o700).unwrap();
        assert_eq!(mode(&root.join("own")), 0o700);
        fs_err::os::unix::fs::symlink(root.join("own"), root.join("link")).unwrap();
        own_folder(&root.join("link"), None, 0o777).unwrap_err();
        assert_eq!(mode(&root.join("own")), 0o700);
        if platform::is_root() {
            let owner = Owner { uid: 60_000, gid: 60_000 };
            own_folder(&root.join("given"), Some(owner), 0o700).unwrap();
            own_folder(&root.join("given"), Some(owner), 0o700).unwrap();
            let error = own_folder(&root.join("given"), None, 0o700).unwrap_err().to_string();
            assert!(error.contains("belongs to user 60000, and this is user 0; remove it"), "{error}");
        }
    }

    #[test]
    fn only_a_plain_file_of_the_user_is_opened() {
        let (_folder, root) = scratch();
        let uid = geteuid().as_raw();
        let path = |name: &str| root.join(name);
        fs_err::write(path("secret"), "root's").unwrap();
        assert!(open_of(&path("secret"), uid).is_ok());
        assert!(open_of(&path("secret"), uid + 1).is_err());
        fs_err::os::unix::fs::symlink(path("secret"), path("link")).unwrap();
        assert!(open_of(&path("link"), uid).is_err());
        fs_err::hard_link(path("secret"), path("second")).unwrap();
        assert!(open_of(&path("second"), uid).is_err());
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe").as_std_path(), FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(open_of(&path("pipe"), uid).is_err());
    }

    #[test]
    fn everything_in_a_folder_is_given_and_nothing_that_is_linked() {
        if !platform::is_root() {
            return;
        }
        let (_folder, root) = scratch();
        let data = root.join("data");
        fs_err::create_dir_all(data.join("deep/er")).unwrap();
        for file in ["data/deep/er/file", "outside", "twice"] {
            fs_err::write(root.join(file), "").unwrap();
        }
        fs_err::os::unix::fs::symlink(root.join("outside"), data.join("link")).unwrap();
        fs_err::hard_link(root.join("twice"), data.join("second")).unwrap();
        give_folder(&data, Owner { uid: 60_001, gid: 60_002 }).unwrap();
        let owner = |name: &str| {
            let meta = fs_err::symlink_metadata(root.join(name)).unwrap();
            (meta.uid(), meta.gid())
        };
        for given in ["data", "data/deep", "data/deep/er", "data/deep/er/file", "data/link"] {
            assert_eq!(owner(given), (60_001, 60_002), "{given}");
        }
        for kept in ["outside", "twice", "data/second"] {
            assert_eq!(owner(kept), (0, 0), "{kept}");
        }
    }
}
