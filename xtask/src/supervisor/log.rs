//! A log file that is rotated by size. Logging never fails its caller.

use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::OpenOptionsExt as _;

use crate::fs::found;

/// The file is rotated before it exceeds this many bytes.
const MAX_SIZE: u64 = 10 << 20;

/// Rotated files to keep. `.1` is the newest.
const KEEP: u32 = 5;

/// A log file. A write that fails is counted, and its lines are lost.
pub(super) struct RotatedLog {
    path: Utf8PathBuf,
    max_size: u64,
    open: Option<Open>,
    lost: u64,
}

struct Open {
    file: fs_err::File,
    size: u64,
}

impl RotatedLog {
    /// The log at this path. It is opened by the first write.
    pub(super) fn new(path: &Utf8Path) -> Self {
        Self { path: path.to_owned(), max_size: MAX_SIZE, open: None, lost: 0 }
    }

    /// Appends whole lines with one write.
    pub(super) fn write(&mut self, lines: &[u8]) {
        if !lines.is_empty() && self.try_write(lines).is_err() {
            self.lost += 1;
            // The next write opens the file again. By then the disk may have room, or the folder may exist.
            self.open = None;
        }
    }

    /// Writes that failed.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    fn try_write(&mut self, lines: &[u8]) -> std::io::Result<()> {
        let length = lines.len() as u64;
        if self.opened()?.size > 0 && self.opened()?.size + length > self.max_size {
            self.open = None;
            self.rotate()?;
        }
        let open = self.opened()?;
        open.file.write_all(lines)?;
        open.size += length;
        Ok(())
    }

    fn opened(&mut self) -> std::io::Result<&mut Open> {
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let file = fs_err::OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
                let size = file.metadata()?.len();
                Open { file, size }
            }
        };
        Ok(self.open.insert(open))
    }

    fn rotate(&self) -> std::io::Result<()> {
        for number in (0..KEEP).rev() {
            found(fs_err::rename(self.numbered(number), self.numbered(number + 1)))?;
        }
        Ok(())
    }

    fn numbered(&self, number: u32) -> Utf8PathBuf {
        match number {
            0 => self.path.clone(),
            _ => format!("{}.{number}", self.path).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_rotated_files_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().join("service.log");
        let mut log = RotatedLog { max_size: 10, ..RotatedLog::new(&path) };
        for number in 10..30 {
            log.write(format!("{number}:x\n{number}:y\n").as_bytes());
        }
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "29:x\n29:y\n");
        assert_eq!(fs_err::read_to_string(format!("{path}.1")).unwrap(), "28:x\n28:y\n");
        assert_eq!(fs_err::read_to_string(format!("{path}.5")).unwrap(), "24:x\n24:y\n");
        assert!(!fs_err::exists(format!("{path}.6")).unwrap());
        assert_eq!(log.lost(), 0);
    }

    #[test]
    fn a_write_that_fails_is_counted_and_the_next_one_tries_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().join("logs/service.log");
        let mut log = RotatedLog::new(&path);
        log.write(b"lost\n");
        assert_eq!(log.lost(), 1);
        fs_err::create_dir(path.parent().unwrap()).unwrap();
        log.write(b"kept\n");
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "kept\n");
    }
}
