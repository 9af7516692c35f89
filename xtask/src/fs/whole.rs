//! Files that are read as a whole. In the place of one can be a pipe, whose opening waits for a writer, a device that never
//! ends, or a link to either: the tree may have brought it.

use std::io::{Error, ErrorKind, Read as _, Result};

use camino::Utf8Path;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::OFlags;

/// The largest file that is read as a whole, in bytes.
pub const LARGEST: u64 = 64 << 20;

/// The content of a file. Fails at once for what is no file, and for one of more than [`LARGEST`] bytes.
pub fn read_file(path: impl AsRef<Utf8Path>) -> Result<Vec<u8>> {
    let path = path.as_ref();
    let no_file = || Error::new(ErrorKind::InvalidInput, format!("{path} is not a file"));
    // Before it is opened: some devices do something when they are.
    if !fs_err::metadata(path)?.is_file() {
        return Err(no_file());
    }
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = fs_err::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(no_file());
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::new(ErrorKind::FileTooLarge, format!("{path} is larger than {} MiB", LARGEST >> 20)));
    }
    Ok(bytes)
}

/// The same as text.
pub fn read_text(path: impl AsRef<Utf8Path>) -> Result<String> {
    let path = path.as_ref();
    String::from_utf8(read_file(path)?).map_err(|_| Error::new(ErrorKind::InvalidData, format!("{path} is not UTF-8")))
}

#[cfg(test)]
mod tests {
    use fs_err::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_no_file_is_refused_at_once_and_so_is_one_that_is_too_large() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        fs_err::write(root.join("file"), "text").unwrap();
        fs_err::write(root.join("bytes"), [0xff]).unwrap();
        symlink("file", root.join("link")).unwrap();
        symlink("/dev/zero", root.join("zeros")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, root.join("pipe").as_std_path(), rustix::fs::Mode::RWXU).unwrap();
        let large = fs_err::File::create(root.join("large")).unwrap();
        large.set_len(LARGEST + 1).unwrap();
        assert_eq!((read_text(root.join("file")).unwrap(), read_text(root.join("link")).unwrap()), two("text"));
        for (name, says) in [
            ("zeros", "is not a file"),
            ("pipe", "is not a file"),
            ("", "is not a file"),
            ("large", "is larger than 64 MiB"),
            ("bytes", "is not UTF-8"),
            ("missing", "missing"),
        ] {
            let error = read_text(root.join(name)).unwrap_err();
            assert!(error.to_string().contains(says), "{name}: {error}");
            assert_eq!(error.kind() == ErrorKind::NotFound, name == "missing");
        }
    }

    fn two(text: &str) -> (String, String) {
        (text.to_owned(), text.to_owned())
    }
}
