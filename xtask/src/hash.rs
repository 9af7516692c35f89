//! SHA-256 of bytes, files and folders, in hexadecimal.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest as _, Sha256};

pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

pub fn sha256_file(path: &Utf8Path) -> Result<String> {
    let mut hasher = Sha256::new();
    add_file(&mut hasher, path)?;
    Ok(hex::encode(hasher.finalize()))
}

/// SHA-256 over the names and contents of all files below a folder, in the order of their names.
pub fn sha256_folder(folder: &Utf8Path) -> Result<String> {
    let mut hasher = Sha256::new();
    for path in files_below(folder)? {
        let name = path.strip_prefix(folder).unwrap_or(&path);
        hasher.update(format!("{name}\0{}\n", sha256_file(&path)?));
    }
    Ok(hex::encode(hasher.finalize()))
}

/// Adds the content of a file.
pub fn add_file(hasher: &mut Sha256, path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let mut file = fs_err::File::open(path)?;
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece).with_context(|| format!("read {}", path.display()))? {
            0 => return Ok(()),
            length => hasher.update(&piece[..length]),
        }
    }
}

/// Every file below a folder, sorted.
pub fn files_below(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let mut files = Vec::new();
    for entry in folder.read_dir_utf8().with_context(|| format!("list {folder}"))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files.extend(files_below(entry.path())?);
        } else {
            files.push(entry.into_path());
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_folder_depends_on_names_and_contents() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        fs_err::create_dir(root.join("b")).unwrap();
        fs_err::write(root.join("b/c"), "1").unwrap();
        fs_err::write(root.join("a"), "2").unwrap();
        let before = sha256_folder(root).unwrap();
        fs_err::rename(root.join("a"), root.join("d")).unwrap();
        assert_ne!(sha256_folder(root).unwrap(), before);
        fs_err::rename(root.join("d"), root.join("a")).unwrap();
        assert_eq!(sha256_folder(root).unwrap(), before);
        fs_err::write(root.join("a"), "3").unwrap();
        assert_ne!(sha256_folder(root).unwrap(), before);
    }
}
