//! Whether something has changed that the service may be built of.

use std::os::unix::fs::MetadataExt as _;

use anyhow::Result;
use camino::Utf8Path;
use sha2::{Digest as _, Sha256};

use crate::fs::found;
use crate::tools::git;

/// Names, sizes and times of the project's files that git does not ignore, without those of the web UI.
pub async fn fingerprint(root: &Utf8Path, web: Option<&Utf8Path>) -> Result<String> {
    let mut hasher = Sha256::new();
    for name in git::kept_files(root, Utf8Path::new(".")).await? {
        if web.is_some_and(|web| name.starts_with(web)) {
            continue;
        }
        // One that is deleted is in git's list until that is committed.
        if let Some(data) = found(fs_err::symlink_metadata(root.as_std_path().join(&name)))? {
            hasher.update(name.as_os_str().as_encoded_bytes());
            hasher.update(format!("\0{} {} {}\0", data.size(), data.mtime(), data.mtime_nsec()));
        }
    }
    Ok(hex::encode(hasher.finalize()))
}
