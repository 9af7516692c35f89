//! Folders of root's that a less privileged user must pass: they stay where they are wanted, or, where that user may not enter
//! (a checkout in root's home), they are below [`platform::SYSTEM_STATE`] and the wanted folder is a link to them.

use std::os::unix::fs::MetadataExt as _;

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::symlink;
use rustix::process::geteuid;
use sha2::{Digest as _, Sha256};

use crate::fs::{Owner, found, own_folder, private_folder};
use crate::tools::cmd::{Cmd, Inherited};
use crate::tools::platform;

/// Makes the folder where it is missing, and moves it where the user may pass. Others may pass it too, and not list it. Returns
/// its path without links. `project` is part of the name of a system folder.
pub async fn passable(folder: &Utf8Path, project: &str, user: Owner) -> Result<Utf8PathBuf> {
    const MODE: u32 = 0o711;
    if folder.is_symlink() && !folder.exists() {
        fs_err::remove_file(folder)?;
    }
    private_folder(folder)?;
    let here = folder.canonicalize_utf8().with_context(|| format!("resolve {folder}"))?;
    // In another user's checkout it may be that user's, who then passes it anyway.
    if fs_err::metadata(&here)?.uid() == geteuid().as_raw() {
        own_folder(&here, None, MODE)?;
    }
    if may_enter(&here, user).await? {
        return Ok(here);
    }
    let elsewhere = system_folder(&here, project);
    if is_empty(&here)? {
        fs_err::remove_dir(&here)?;
    } else {
        // Left by an earlier checkout in this place.
        let full = || format!("{here} must move to {elsewhere}, and both have files; move one of them away");
        ensure!(is_empty(&elsewhere)?, full());
        found(fs_err::remove_dir(&elsewhere))?;
        fs_err::rename(&here, &elsewhere).with_context(|| {
            format!("user {} may not enter {here}, so it must move\n  type: mv {here} {elsewhere}", user.uid)
        })?;
    }
    own_folder(&elsewhere, None, MODE)?;
    symlink(&elsewhere, &here)?;
    Ok(elsewhere)
}

/// Whether a user may enter a folder: whether each folder above lets it pass.
pub async fn may_enter(folder: &Utf8Path, user: Owner) -> Result<bool> {
    Cmd::new("test")
        .args(["-x", folder.as_str()])
        .dir("/")
        .inherits(Inherited::Path)
        .user(user.uid, user.gid)
        .succeeds()
        .await
}

fn is_empty(folder: &Utf8Path) -> Result<bool> {
    Ok(found(fs_err::read_dir(folder))?.is_none_or(|mut entries| entries.next().is_none()))
}

fn system_folder(folder: &Utf8Path, project: &str) -> Utf8PathBuf {
    // 48 bits distinguish the folders of one machine.
    let hash = hex::encode(&Sha256::digest(folder.as_str())[..6]);
    Utf8Path::new(platform::SYSTEM_STATE).join(format!("{project}-{hash}"))
}
