//! The data folder: whether it exists, its version, and how it is created.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use secrecy::{ExposeSecret as _, SecretString};

use super::installation::Installation;
use super::layout::Layout;
use super::settings::Durability;
use crate::fs::{found, open_of, own_folder, temporary_folder};
use crate::tools::platform;

/// What a server should be.
#[derive(Clone, Copy)]
pub struct ServerSpec<'a> {
    /// The server's own folder. Its lock file is beside it: `<folder>.lock`.
    pub folder: &'a Utf8Path,
    /// The project's name, for the name of a system folder if one is needed ([`Layout`]).
    pub project: &'a str,
    /// The superuser.
    pub role: &'a str,
    /// The superuser's password. It is set when the data is created, and never changed.
    pub password: &'a SecretString,
}

/// The major version of the data.
pub(super) fn major_of_data(layout: &Layout) -> Result<u32> {
    let (data, mut text) = (layout.data(), String::new());
    let read = open_of(&data.join("PG_VERSION"), layout.uid()).and_then(|file| file.take(16).read_to_string(&mut text));
    read.with_context(|| format!("{data} is not a data folder of PostgreSQL"))?;
    text.trim().parse().with_context(|| format!("{data}/PG_VERSION contains {text:?}"))
}

/// Whether there is data. A data folder gets its name when it is complete, so an empty one has none.
pub(super) fn has_data(data: &Utf8Path) -> Result<bool> {
    Ok(found(fs_err::read_dir(data))?.is_some_and(|mut entries| entries.next().is_some()))
}

/// Creates the data in a temporary folder and renames it, so that an interrupted run leaves no incomplete data folder.
pub(super) async fn create_data(
    installation: &Installation,
    layout: &Layout,
    spec: ServerSpec<'_>,
    durability: Durability,
) -> Result<()> {
    const STAGING: &str = "init-";
    for entry in layout.home.read_dir_utf8()? {
        let entry = entry?;
        if entry.file_name().starts_with(STAGING) {
            remove_leftover(entry.path()).await?;
        }
    }
    let staging = temporary_folder(STAGING, &layout.home)?;
    let folder = Utf8Path::from_path(staging.path()).context("a path in UTF-8")?;
    // It stays this process's user's. The server's user may pass it, and gets the two things in it.
    own_folder(folder, None, 0o711)?;
    let (data, password_file) = (folder.join("data"), folder.join("password"));
    layout.own_folder(&data)?;
    let mut file = fs_err::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&password_file)?;
    writeln!(file, "{}", spec.password.expose_secret())?;
    if let Some(owner) = layout.owner() {
        std::os::unix::fs::fchown(&file, Some(owner.uid), Some(owner.gid))?;
    }

    let initdb = installation
        .program("initdb", layout.user.as_ref())
        .args(["--pgdata", data.as_str(), "--username", spec.role, "--pwfile", password_file.as_str()])
        .args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"])
        // Characters are Unicode's; the sort order is that of the bytes, which no upgrade changes.
        .arg(format!("--lc-ctype={}", platform::UTF8_LOCALE))
        .args(durability.initdb().iter().copied());
    let made = initdb.run().await;
    fs_err::remove_file(&password_file)?;
    made?;
    if layout.data().exists() {
        fs_err::remove_dir(layout.data())?;
    }
    Ok(fs_err::rename(&data, layout.data())?)
}

/// Removes the folder of a killed run. Its initdb may still write there until it finds its files missing.
async fn remove_leftover(folder: &Utf8Path) -> Result<()> {
    let begin = Instant::now();
    loop {
        match found(fs_err::remove_dir_all(folder)) {
            Err(_) if begin.elapsed() < Duration::from_secs(10) => tokio::time::sleep(Duration::from_millis(50)).await,
            removed => return Ok(removed.map(drop)?),
        }
    }
}
