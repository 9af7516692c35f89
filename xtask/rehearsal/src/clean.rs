//! Removes what a rehearsal has made, also one that was killed.

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest as _, Sha256};
use xtask::fs::found;
use xtask::targets::host::containers::ENVIRONMENT;

use crate::engine::Machine;
use crate::place::Place;
use crate::servers::STANDIN;

/// The files with the address of the registry, and with the value of the label of a Docker host's containers.
const REGISTRY: &str = "registry";
const HOST: &str = "host";

/// The label by which the stand-in marks its containers: the beginning of a hash of its folder.
const STANDIN_LABEL: &str = "standin.state";

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
    let (state, registry) = (state(place)?, found(fs_err::read_to_string(place.servers.join(REGISTRY)))?);
    let host = found(fs_err::read_to_string(place.servers.join(HOST)))?;
    if state.is_some() || registry.is_some() || host.is_some() {
        let engine =
            Machine::connect().await.context("containers and images of the rehearsal may be left in the engine")?;
        if let Some(state) = state {
            removed.containers += engine.remove_containers(STANDIN_LABEL, &state).await?;
        }
        if let Some(environment) = host {
            removed.containers += engine.remove_containers(ENVIRONMENT, &environment).await?;
            removed.images += engine.remove_images(&format!("{}:", place.host)).await?;
            engine.remove_volumes_and_networks(&format!("{}-", place.host)).await?;
        }
        if let Some(registry) = registry {
            removed.images += engine.remove_images(&format!("{registry}/")).await?;
        }
    }
    place.remove()?;
    Ok(removed)
}

/// Notes in the servers' folder which environment's containers, volumes and networks are the rehearsal's: `<project>/<env>`.
pub fn note_host(place: &Place, environment: &str) -> Result<()> {
    fs_err::write(place.servers.join(HOST), format!("{}/{environment}", place.host))
        .context("note the containers' label")
}

/// Notes in the servers' folder which registry's images are the rehearsal's.
pub fn note_registry(place: &Place, address: &str) -> Result<()> {
    fs_err::write(place.servers.join(REGISTRY), address).context("note the registry's address")
}

impl std::fmt::Display for Removed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { processes, containers, images } = self;
        write!(f, "removed {containers} containers, {images} images, {processes} processes and all files")
    }
}

/// Kills the processes that were started in these folders or whose arguments name something in them: how many there were. A user's
/// shell in one of them stays: a rehearsal that is kept says to go there.
fn end_processes(folders: &[&Utf8Path]) -> usize {
    let Ok(processes) = fs_err::read_dir("/proc") else { return 0 };
    let mut killed = 0;
    for process in processes.flatten() {
        let pid = process.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        let Some(pid) = pid.filter(|pid| *pid != rustix::process::getpid()) else { continue };
        let working = std::fs::read_link(process.path().join("cwd")).unwrap_or_default();
        let arguments = fs_err::read(process.path().join("cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments);
        let is_shell = leads_a_terminal(&fs_err::read_to_string(process.path().join("stat")).unwrap_or_default());
        let is_in = |folder: &&Utf8Path| {
            (working.starts_with(folder) && !is_shell) || arguments.contains(&format!("{folder}/"))
        };
        if folders.iter().any(is_in) && kill_process(pid, Signal::KILL).is_ok() {
            killed += 1;
        }
    }
    killed
}

/// Whether a process leads the session of a terminal, by its `/proc/PID/stat` (proc(5)): its id is the session's, and there is a terminal.
fn leads_a_terminal(stat: &str) -> bool {
    let id = stat.split(' ').next().unwrap_or_default();
    // A program's name may have anything in it, but it ends with the last bracket.
    let after: Vec<&str> = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    matches!(after.as_slice(), [_, _, _, session, terminal, ..] if *session == id && *terminal != "0")
}

/// What marks the stand-in's containers: the beginning of the hash of its folder's path. None if it was not started.
fn state(place: &Place) -> Result<Option<String>> {
    let folder = found(place.servers.join(STANDIN).join("cloud").canonicalize_utf8())?;
    Ok(folder.map(|folder| hex::encode(Sha256::digest(folder.as_str().as_bytes()))[..12].to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_of_a_terminal_is_told_from_what_it_runs() {
        assert!(leads_a_terminal("4711 (ba) (sh) S 4700 4711 4711 34816 4711 4194304"));
        assert!(!leads_a_terminal("4712 (xtask) S 4711 4712 4711 34816 4712 4194304"));
        assert!(!leads_a_terminal("4713 (daemon) S 1 4713 4713 0 -1 4194304"));
        assert!(!leads_a_terminal(""));
    }
}
