//! Files of the project. Its tree may have been written by others, and may have a link in any place: to a file outside, to the
//! user's secrets, to a device.

use std::io::ErrorKind;

use camino::{Utf8Path, Utf8PathBuf};

use super::{LARGEST, found, read_file};

/// Why a path of the project is not used.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// A link leads out of the project.
    #[error("{path} leads to {target}, which is outside of the project; put the file itself there")]
    Outside {
        /// Relative to the project's root.
        path: Utf8PathBuf,
        /// With links resolved.
        target: Utf8PathBuf,
    },
    /// It is, or a link leads to, what the project keeps to itself: git's folder, `.deploy`, a file of settings and secrets.
    #[error("{path} leads to {target}, which may hold secrets; name another file")]
    Private {
        /// Relative to the project's root.
        path: Utf8PathBuf,
        /// With links resolved, relative to the project's root.
        target: Utf8PathBuf,
    },
    /// It is a link, or in a folder that is one.
    #[error("{path} is a link to {target}; put the file itself there")]
    Link {
        /// Relative to the project's root.
        path: Utf8PathBuf,
        /// With links resolved, relative to the project's root.
        target: Utf8PathBuf,
    },
    /// It is a folder, a pipe, a device or a socket.
    #[error("{0} is not a file")]
    NoFile(Utf8PathBuf),
    /// It is too large.
    #[error("{0} is larger than {limit} MiB", limit = LARGEST >> 20)]
    TooLarge(Utf8PathBuf),
    /// It cannot be looked at or read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// The place of a path of the project, with links resolved; none where nothing is. `path` is relative to `root`.
pub fn place(root: &Utf8Path, path: &Utf8Path) -> Result<Option<Utf8PathBuf>, PathError> {
    let root = &canonical(root)?;
    let Some(target) = found(canonical(&root.join(path)))? else { return Ok(None) };
    let Ok(relative) = target.strip_prefix(root) else {
        return Err(PathError::Outside { path: path.to_owned(), target });
    };
    if relative.components().any(|part| is_private(part.as_str())) {
        return Err(PathError::Private { path: path.to_owned(), target: relative.to_owned() });
    }
    Ok(Some(target))
}

/// The content of a file of the project; none where nothing is. `path` is relative to `root`.
pub fn read(root: &Utf8Path, path: &Utf8Path) -> Result<Option<Vec<u8>>, PathError> {
    let Some(place) = place(root, path)? else { return Ok(None) };
    match read_file(&place) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::InvalidInput => Err(PathError::NoFile(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::FileTooLarge => Err(PathError::TooLarge(path.to_owned())),
        Err(error) => Err(error.into()),
    }
}

/// The place of a file that is shown: it is no link, nor in a folder below `root` that is one. None where nothing is.
pub fn own_place(root: &Utf8Path, path: &Utf8Path) -> Result<Option<Utf8PathBuf>, PathError> {
    let Some(target) = place(root, path)? else { return Ok(None) };
    let root = canonical(root)?;
    if target == root.join(path) {
        return Ok(Some(target));
    }
    let target = target.strip_prefix(&root).unwrap_or(&target).to_owned();
    Err(PathError::Link { path: path.to_owned(), target })
}

/// The place of a file that is written or removed, whether it is there or not: neither it nor a folder of its path below `root` is a
/// link, which would lead elsewhere.
pub fn place_to_write(root: &Utf8Path, path: &Utf8Path) -> Result<Utf8PathBuf, PathError> {
    for part in path.ancestors().filter(|part| !part.as_str().is_empty()) {
        let at = root.join(part);
        if found(fs_err::symlink_metadata(&at))?.is_some_and(|there| there.is_symlink()) {
            let target = at.read_link_utf8()?;
            return Err(PathError::Link { path: part.to_owned(), target });
        }
    }
    Ok(root.join(path))
}

/// The content of a file that is shown.
pub fn read_own(root: &Utf8Path, path: &Utf8Path) -> Result<Option<Vec<u8>>, PathError> {
    match own_place(root, path)? {
        Some(_) => read(root, path),
        None => Ok(None),
    }
}

fn canonical(path: &Utf8Path) -> std::io::Result<Utf8PathBuf> {
    let path = fs_err::canonicalize(path)?;
    Utf8PathBuf::try_from(path).map_err(|error| error.into_io_error())
}

/// Whether the project keeps a file or folder of this name to itself: git's folder, `.deploy`, a file of settings and secrets.
pub fn is_private(name: &str) -> bool {
    // An example has names and no values: the one of all settings, and those of environments.
    let is_example = name == ".env.example" || (name.starts_with(".env.") && name.ends_with(".example"));
    matches!(name, ".git" | ".deploy") || (name.starts_with(".env") && !is_example)
}

#[cfg(test)]
mod tests {
    use fs_err::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_inside_the_project_only_and_never_to_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let outer = Utf8Path::from_path(folder.path()).unwrap();
        let root = &outer.join("project");
        fs_err::create_dir_all(root.join("app/.git")).unwrap();
        fs_err::create_dir_all(root.join(".deploy/local")).unwrap();
        for file in
            ["../outside", "app/file", "app/.git/config", ".env.production", ".env", ".env.example", ".env.a.example"]
        {
            fs_err::write(root.join(file), file).unwrap();
        }
        for (link, target) in [
            ("good", "app/file"),
            ("good-folder", "app"),
            ("out", "../outside"),
            ("far", "/etc"),
            ("secrets", ".env.production"),
            ("git", "app/.git"),
            ("round", "round"),
            ("gone", "nothing"),
            ("zeros", "/dev/zero"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        let said = |path: &str| match read(root, Utf8Path::new(path)) {
            Ok(Some(bytes)) => String::from_utf8(bytes).unwrap(),
            Ok(None) => "nothing".to_owned(),
            Err(error) => error.to_string(),
        };
        for (path, says) in [
            ("app/file", "app/file"),
            ("good", "app/file"),
            ("good-folder/file", "app/file"),
            (".env.example", ".env.example"),
            (".env.a.example", ".env.a.example"),
            ("gone", "nothing"),
            ("missing/file", "nothing"),
            ("app", "is not a file"),
            ("out", "outside of the project"),
            ("far/passwd", "outside of the project"),
            ("zeros", "outside of the project"),
            ("secrets", "leads to .env.production, which may hold secrets"),
            (".env", "may hold secrets"),
            ("git/config", "leads to app/.git/config"),
            ("round", "round"),
        ] {
            assert!(said(path).contains(says), "{path}: {}", said(path));
        }
        let pipe = root.join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, pipe.as_std_path(), rustix::fs::Mode::RWXU).unwrap();
        assert!(said("pipe").contains("is not a file"));

        let own = |path: &str| read_own(root, Utf8Path::new(path)).map_err(|error| error.to_string());
        assert_eq!(own("app/file").unwrap().unwrap(), b"app/file");
        assert_eq!(own("missing").unwrap(), None);
        assert!(own("good").unwrap_err().contains("good is a link to app/file"));
        assert!(own("good-folder/file").unwrap_err().contains("is a link"));

        let to_write = |path: &str| place_to_write(root, Utf8Path::new(path)).map_err(|error| error.to_string());
        assert_eq!(to_write("app/new/file").unwrap(), root.join("app/new/file"));
        for (path, says) in [
            ("far/new/file", "far is a link to /etc; put"),
            ("good-folder/new", "good-folder is a link to app; put"),
            ("gone/new", "gone is a link to nothing; put"),
            ("out", "out is a link to ../outside; put"),
        ] {
            let said = to_write(path).unwrap_err();
            assert!(said.starts_with(says), "{path}: {said}");
        }
        // The root itself may be reached through one.
        symlink("project", outer.join("linked")).unwrap();
        assert!(read_own(&outer.join("linked"), Utf8Path::new("app/file")).unwrap().is_some());
    }
}
