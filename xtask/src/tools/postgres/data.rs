//! The folder that PostgreSQL stores everything in: whether it is there, whose it is, how it is made.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use secrecy::ExposeSecret as _;

use super::installation::Installation;
use super::place::Place;
use super::server::Wanted;
use super::settings::Worth;
use crate::fs::found;
use crate::tools::platform;

/// The major version that made a data folder.
pub(super) fn major_of_data(data: &Utf8Path) -> Result<u32> {
    let file = data.join("PG_VERSION");
    let text = fs_err::read_to_string(&file).with_context(|| format!("{data} is not a data folder of PostgreSQL"))?;
    text.trim().parse().with_context(|| format!("{file} says {text:?}"))
}

/// A data folder gets its name when it is whole; an empty one is somebody's preparation.
pub(super) fn has_data(data: &Utf8Path) -> Result<bool> {
    Ok(found(fs_err::read_dir(data))?.is_some_and(|mut entries| entries.next().is_some()))
}

/// Makes the data in a folder beside its place and renames it to there, so that whoever is killed in the middle leaves
/// nothing that looks whole.
pub(super) async fn make_data(
    installation: &Installation,
    place: &Place,
    wanted: Wanted<'_>,
    worth: Worth,
) -> Result<()> {
    const STAGING: &str = "init-";
    for entry in place.home.read_dir_utf8()? {
        let entry = entry?;
        if entry.file_name().starts_with(STAGING) {
            remove_under_orphan(entry.path()).await?;
        }
    }
    let staging = tempfile::Builder::new().prefix(STAGING).tempdir_in(&place.home)?;
    let folder = Utf8Path::from_path(staging.path()).context("a path in UTF-8")?;
    place.hand_over(folder)?;
    let password_file = folder.join("password");
    let mut file = fs_err::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&password_file)?;
    writeln!(file, "{}", wanted.password.expose_secret())?;
    place.hand_over(&password_file)?;

    let data = folder.join("data");
    let initdb = installation
        .program("initdb", place.user.as_ref())
        .args(["--pgdata", data.as_str(), "--username", wanted.role, "--pwfile", password_file.as_str()])
        .args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"])
        // Letters are Unicode's everywhere; the order of the alphabet is nobody's, which no upgrade can change.
        .arg(format!("--lc-ctype={}", platform::UTF8_LOCALE))
        .args(worth.initdb().iter().copied());
    let made = initdb.run().await;
    fs_err::remove_file(&password_file)?;
    made?;
    if place.data().exists() {
        fs_err::remove_dir(place.data())?;
    }
    Ok(fs_err::rename(&data, place.data())?)
}

/// Removes the folder of a killed run, whose initdb may go on writing into it until it misses its files.
async fn remove_under_orphan(folder: &Utf8Path) -> Result<()> {
    let begin = Instant::now();
    loop {
        match found(fs_err::remove_dir_all(folder)) {
            Err(_) if begin.elapsed() < Duration::from_secs(10) => tokio::time::sleep(Duration::from_millis(50)).await,
            removed => return Ok(removed.map(drop)?),
        }
    }
}
