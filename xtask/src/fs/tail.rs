//! The last lines of a file.

use std::io::{Read as _, Result, Seek as _, SeekFrom};

use camino::Utf8Path;

/// What is read at once.
const PIECE: u64 = 64 << 10;

/// What is read at most: another program may have written the file, and without line breaks.
const MOST: usize = 16 << 20;

/// The last lines of a file that may be large, the newest last. What is not UTF-8 is replaced. Only the end of the file
/// is read.
pub fn tail(path: &Utf8Path, lines: usize) -> Result<Vec<String>> {
    tail_of(fs_err::File::open(path)?, lines)
}

/// The same of a file that is open.
pub fn tail_of(mut file: fs_err::File, lines: usize) -> Result<Vec<String>> {
    let mut begin = file.metadata()?.len();
    let mut end = Vec::new();
    // One more line break than lines: that of the line before them. The last line has one of its own, or has none.
    while begin > 0 && end.len() < MOST && breaks(&end) <= lines {
        let length = begin.min(PIECE);
        begin -= length;
        file.seek(SeekFrom::Start(begin))?;
        let mut piece = Vec::new();
        (&mut file).take(length).read_to_end(&mut piece)?;
        piece.append(&mut end);
        end = piece;
    }
    let text = String::from_utf8_lossy(&end);
    let all: Vec<&str> = text.lines().collect();
    Ok(all[all.len().saturating_sub(lines)..].iter().map(|line| (*line).to_owned()).collect())
}

fn breaks(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_the_same_however_the_file_is_cut_into_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().join("log");
        for count in [0, 1, 3, 5_000] {
            for ending in ["", "\n"] {
                let all: Vec<String> = (0..count).map(|n| format!("{n} {}", "ä".repeat(n % 90))).collect();
                fs_err::write(&path, format!("{}{}", all.join("\n"), if count > 0 { ending } else { "" })).unwrap();
                for wanted in [0, 1, 2, 700, 2_000, usize::MAX] {
                    let last = &all[all.len().saturating_sub(wanted)..];
                    assert_eq!(tail(&path, wanted).unwrap(), last, "{wanted} of {count}");
                }
            }
        }
    }
}
