//! Removes what a rehearsal has made, also one that was killed.

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest as _, Sha256};
use xtask::fs::found;

use crate::engine::Machine;
use crate::place::Place;

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Processes that still ran.
    pub processes: usize,
    /// Containers of the engine.
    pub containers: usize,
    /// Images of the engine.
    pub images: usize,
}

/// Ends what still runs and removes all of it but the account. Without an engine, nothing of it was in one.
pub async fn clean(place: &Place) -> Result<Removed> {
    let mut removed = Removed { processes: end_processes(&place.folders()), ..Removed::default() };
    let (states, registries) = (states(place)?, registries(place)?);
    if !states.is_empty() || !registries.is_empty() {
        let engine =
            Machine::connect().await.context("containers and images of the rehearsal may be left in the engine")?;
        (removed.containers, removed.images) = engine.remove(&states, &registries).await?;
    }
    place.remove()?;
    Ok(removed)
}

/// Notes in the servers' folder which registry's images are the rehearsal's.
pub fn note_registry(place: &Place, address: &str) -> Result<()> {
    fs_err::write(place.servers.join("registry"), address).context("note the registry's address")
}

impl std::fmt::Display for Removed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { processes, containers, images } = self;
        write!(f, "removed {containers} containers, {images} images, {processes} processes and all files")
    }
}

/// Kills the processes that were started in these folders or whose arguments name something in them: how many there were.
fn end_processes(folders: &[&Utf8Path]) -> usize {
    let Ok(processes) = fs_err::read_dir("/proc") else { return 0 };
    let mut killed = 0;
    for process in processes.flatten() {
        let pid = process.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        let Some(pid) = pid.filter(|pid| *pid != rustix::process::getpid()) else { continue };
        let working = std::fs::read_link(process.path().join("cwd")).unwrap_or_default();
        let arguments = fs_err::read(process.path().join("cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments);
        let is_in = |folder: &&Utf8Path| working.starts_with(folder) || arguments.contains(&format!("{folder}/"));
        if folders.iter().any(is_in) && kill_process(pid, Signal::KILL).is_ok() {
            killed += 1;
        }
    }
    killed
}

/// What marks the containers of the stand-ins whose folders are there: the beginning of the hash of each folder's path.
fn states(place: &Place) -> Result<Vec<String>> {
    let mut states = Vec::new();
    for entry in found(place.servers.read_dir_utf8())?.into_iter().flatten() {
        let folder: Utf8PathBuf = entry?.path().join("cloud");
        if folder.is_dir() {
            let folder = folder.canonicalize_utf8()?;
            states.push(hex::encode(Sha256::digest(folder.as_str().as_bytes()))[..12].to_owned());
        }
    }
    Ok(states)
}

fn registries(place: &Place) -> Result<Vec<String>> {
    Ok(found(fs_err::read_to_string(place.servers.join("registry")))?.into_iter().collect())
}
