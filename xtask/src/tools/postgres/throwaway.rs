//! A server for as long as a value lives.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::geteuid;
use tempfile::TempDir;

use super::installation::{Choice, Installation, locate_or_fetch};
use super::server::{Server, Wanted};
use super::settings::Worth;
use crate::secrets;

/// How the folders of throw-away servers are called, in the folder for temporary files.
const PREFIX: &str = "xtask-postgres-";

/// The file in such a folder that its process holds locked while it lives.
const ALIVE: &str = "alive";

/// A server in a temporary folder, stopped and removed when this is dropped, by a panic too. What a killed process left
/// is removed by the next one. Its settings are fast and its data does not outlive a crash of the machine.
pub struct Throwaway {
    server: Server,
    // Dropped after the server has been stopped, in this order.
    _folder: TempDir,
    _alive: fs_err::File,
}

impl Throwaway {
    /// Starts one. The programs come from [`locate_or_fetch`].
    pub async fn start(choice: Choice) -> Result<Self> {
        Self::start_with(&locate_or_fetch(choice, |_| {}).await?).await
    }

    /// Starts one with these programs.
    pub async fn start_with(installation: &Installation) -> Result<Self> {
        sweep(installation).await?;
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir()?;
        let path =
            Utf8Path::from_path(folder.path()).context("the folder for temporary files is not named in UTF-8")?;
        // The server's user, where it is another, has to get through; what is inside is its own.
        fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
        let alive = fs_err::File::create(path.join("locking"))?;
        alive.try_lock()?;
        fs_err::rename(path.join("locking"), path.join(ALIVE))?;

        let (server_folder, password) = (server_folder(path), secrets::generate()?);
        let wanted = wanted(&server_folder, &password);
        let server = Server::ensure_worth(installation, wanted, Worth::Nothing).await?;
        Ok(Self { server, _folder: folder, _alive: alive })
    }

    /// The server: its `url` is the superuser's.
    pub fn server(&self) -> &Server {
        &self.server
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        // Stopping awaits, and a drop can neither do that nor block inside a runtime. So it gets a thread and a runtime
        // of its own. Whatever fails the next sweep does again.
        let end = || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(end(&self.server))
        };
        std::thread::scope(|scope| drop(scope.spawn(end).join()));
    }
}

/// Stops a server and removes what is its own, which need not be in its folder.
async fn end(server: &Server) -> Result<()> {
    server.stop_by("immediate").await?;
    let place = server.place();
    fs_err::remove_dir_all(&place.sockets)?;
    Ok(fs_err::remove_dir_all(&place.home)?)
}

/// Stops and removes this user's servers whose process has been killed. What cannot be removed now is left to the next.
async fn sweep(installation: &Installation) -> Result<()> {
    let temporary = Utf8PathBuf::try_from(std::env::temp_dir())?;
    for entry in temporary.read_dir_utf8()?.flatten() {
        let ours = entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == geteuid().as_raw());
        if ours && entry.file_name().starts_with(PREFIX) {
            drop(remove_if_left(installation, entry.path()).await);
        }
    }
    Ok(())
}

async fn remove_if_left(installation: &Installation, folder: &Utf8Path) -> Result<()> {
    let alive = fs_err::File::open(folder.join(ALIVE))?;
    alive.try_lock()?;
    let (server_folder, password) = (server_folder(folder), secrets::generate()?);
    if let Some(server) = Server::find(installation, wanted(&server_folder, &password)).await? {
        end(&server).await?;
    }
    Ok(fs_err::remove_dir_all(folder)?)
}

fn server_folder(path: &Utf8Path) -> Utf8PathBuf {
    path.join("server")
}

fn wanted<'a>(folder: &'a Utf8Path, password: &'a secrecy::SecretString) -> Wanted<'a> {
    Wanted { folder, project: "xtask", role: "postgres", password }
}
