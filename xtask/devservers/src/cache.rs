//! Where programs are kept that were built or downloaded for this machine.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use fs_err::os::unix::fs::OpenOptionsExt as _;

/// The toolkit's own cache folder.
pub fn folder() -> Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok(Path::new("/var/cache/xtask").to_owned());
    }
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let cache = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    Ok(cache.context("neither XDG_CACHE_HOME nor HOME names a folder to cache in")?.join("xtask"))
}

/// A file or folder of the cache. If it is not there, `make` makes it in an empty folder and says where; then it is
/// renamed, so it is never half-written. Other processes that want the same wait meanwhile.
pub fn once(name: &str, make: impl FnOnce(&Path) -> Result<PathBuf>) -> Result<PathBuf> {
    let cache = folder()?;
    let place = cache.join(name);
    if place.exists() {
        return Ok(place);
    }
    // As the toolkit makes it: no other user writes there, and servers of other users pass it.
    std::fs::DirBuilder::new().recursive(true).mode(0o711).create(&cache).context("make the cache folder")?;
    let lock = cache.join(format!("{name}.lock"));
    let lock = fs_err::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(lock)?;
    lock.file().lock().with_context(|| format!("lock {}", lock.path().display()))?;
    if place.exists() {
        return Ok(place);
    }
    let staging = tempfile::Builder::new().prefix(".new-").tempdir_in(&cache).context("make a folder in the cache")?;
    fs_err::rename(make(staging.path())?, &place)?;
    Ok(place)
}
