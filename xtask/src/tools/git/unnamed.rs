//! Files that a build reads and that no version names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use camino::Utf8Path;

use super::changes::pieces;
use super::{ask, checked_out, git, path};

/// Those of these files that lie outside of the project's repository, and those that git ignores: an edit of them is no change.
/// Named from the root, where they are below it.
pub async fn unnamed(root: &Utf8Path, files: &[PathBuf]) -> Result<Vec<String>> {
    let (top, _) = checked_out(root).await?;
    let (mut unnamed, mut by_folder) = (Vec::new(), BTreeMap::<&Path, Vec<u8>>::new());
    for file in files {
        if !file.starts_with(&top) {
            unnamed.push(file.clone());
        } else if let (Some(folder), Some(name)) = (file.parent(), file.file_name()) {
            let names = by_folder.entry(folder).or_default();
            names.extend(name.as_encoded_bytes());
            names.push(0);
        }
    }
    // Each folder is asked about by its own repository: git refuses to answer for a submodule.
    for (folder, names) in by_folder {
        let ignored = ask(git(folder, &["check-ignore", "-z", "--stdin"]).input(names)).await?;
        unnamed.extend(pieces(&ignored.unwrap_or_default()).map(|name| folder.join(path(name))));
    }
    let shown = |file: &PathBuf| file.strip_prefix(root).unwrap_or(file).to_string_lossy().into_owned();
    Ok(unnamed.iter().map(shown).collect())
}
