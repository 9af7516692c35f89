//! A temporary server that ends with its value.

use std::os::unix::fs::MetadataExt as _;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::process::geteuid;
use tempfile::TempDir;

use super::data::ServerSpec;
use super::installation::Installation;
use super::search::{Choice, locate_or_fetch};
use super::server::Server;
use super::settings::Durability;
use crate::fs::{own_folder, temporary_folder};
use crate::secrets;

/// The prefix of the servers' folders, in the folder for temporary files.
const PREFIX: &str = "xtask-postgres-";

/// The file in such a folder that its process keeps locked while it runs.
const ALIVE: &str = "alive";

/// A server in a temporary folder. Dropping this stops it and removes the folder. Folders that a killed process left are
/// removed by the next start. Its data does not survive a crash of the machine.
pub struct Throwaway {
    server: Server,
    // Dropped after the server has been stopped, in this order.
    _folder: TempDir,
    _alive: fs_err::File,
}

impl Throwaway {
    /// Starts a server with the programs of [`locate_or_fetch`].
    pub async fn start(choice: Choice) -> Result<Self> {
        Self::start_with(&locate_or_fetch(choice, |_| {}).await?).await
    }

    /// Starts a server with these programs.
    pub async fn start_with(installation: &Installation) -> Result<Self> {
        remove_leftovers(installation).await?;
        let folder = temporary_folder(PREFIX, &Utf8PathBuf::try_from(std::env::temp_dir())?)?;
        let path =
            Utf8Path::from_path(folder.path()).context("the folder for temporary files is not named in UTF-8")?;
        // The server may run as another user, which passes this folder.
        own_folder(path, None, 0o711)?;
        let mut create = fs_err::OpenOptions::new();
        let alive = create.write(true).create_new(true).mode(0o600).open(path.join("locking"))?;
        alive.try_lock()?;
        fs_err::rename(path.join("locking"), path.join(ALIVE))?;

        let (server_folder, password) = (server_folder(path), secrets::generate()?);
        let spec = spec(&server_folder, &password);
        let server = Server::ensure_with(installation, spec, Durability::Temporary).await?;
        Ok(Self { server, _folder: folder, _alive: alive })
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        // Stopping is async, and `drop` can neither await nor block inside a runtime. So it gets its own thread and runtime. The
        // next start removes what could not be removed here.
        let stop = || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(remove(&self.server))
        };
        std::thread::scope(|scope| drop(scope.spawn(stop).join()));
    }
}

/// Stops a server and removes its folders, which may be elsewhere.
async fn remove(server: &Server) -> Result<()> {
    server.stop_by("immediate").await?;
    let layout = server.layout();
    fs_err::remove_dir_all(&layout.sockets)?;
    Ok(fs_err::remove_dir_all(&layout.home)?)
}

/// Stops and removes this user's servers whose process was killed. A server that cannot be removed is left to the next start.
async fn remove_leftovers(installation: &Installation) -> Result<()> {
    let temporary = Utf8PathBuf::try_from(std::env::temp_dir())?;
    for entry in temporary.read_dir_utf8()?.flatten() {
        let ours = entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == geteuid().as_raw());
        if ours && entry.file_name().starts_with(PREFIX) {
            drop(remove_if_leftover(installation, entry.path()).await);
        }
    }
    Ok(())
}

async fn remove_if_leftover(installation: &Installation, folder: &Utf8Path) -> Result<()> {
    let alive = fs_err::File::open(folder.join(ALIVE))?;
    alive.try_lock()?;
    let (server_folder, password) = (server_folder(folder), secrets::generate()?);
    if let Some(server) = Server::find(installation, spec(&server_folder, &password)).await? {
        remove(&server).await?;
    }
    Ok(fs_err::remove_dir_all(folder)?)
}

fn server_folder(path: &Utf8Path) -> Utf8PathBuf {
    path.join("server")
}

fn spec<'a>(folder: &'a Utf8Path, password: &'a secrecy::SecretString) -> ServerSpec<'a> {
    ServerSpec { folder, project: "xtask", role: "postgres", password }
}
