//! Where a rehearsal keeps what it makes.
//!
//! ```text
//! .deploy/rehearsal-<env>/project        the clone that is deployed
//! .deploy/rehearsal-<env>/remote.git     its remote
//! .deploy/rehearsal-<env>/servers        the servers' files
//! .deploy/rehearsal-<env>/look           the variables of the toolkit's commands, to source
//! .deploy/rehearsal-<env>/account.*      what happened; all that is left after the clean-up
//! .deploy/rehearsal-<env>.lock           locked while a rehearsal runs
//! .deploy/rehearsal-<env>/database       PostgreSQL's files
//! ```
//!
//! Where this user is root, PostgreSQL runs as another one, which may not enter that folder. Its files are in
//! /tmp/xtask-rehearsal-<digits> then. An ordinary user's are not: another user could have taken the name.

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest as _, Sha256};
use xtask::config::Config;
use xtask::failure::Failure;
use xtask::fs::{Lock, LockError, found, private_folder, replace_file};
use xtask::tools::host::Process;
use xtask::tools::platform::is_root;

/// The folders of one environment's rehearsal.
#[derive(Clone, Debug)]
pub struct Place {
    /// The folder of all of it.
    pub folder: Utf8PathBuf,
    /// What is deployed.
    pub project: Utf8PathBuf,
    /// Its remote.
    pub remote: Utf8PathBuf,
    /// The servers' files.
    pub servers: Utf8PathBuf,
    /// The database's files.
    pub database: Utf8PathBuf,
    /// The variables of the toolkit's commands.
    pub look: Utf8PathBuf,
    /// The account as JSON.
    pub json: Utf8PathBuf,
    /// The account as a page.
    pub html: Utf8PathBuf,
    /// The project's name where a Docker host is rehearsed.
    pub host: String,
}

impl Place {
    /// That of an environment of this project. Nothing is made yet.
    pub fn of(config: &Config, environment: &str) -> Result<Self> {
        let folder = config.root.join(".deploy").join(format!("rehearsal-{environment}"));
        let digits = &hex::encode(Sha256::digest(folder.as_str().as_bytes()))[..12];
        let database = match is_root() {
            true => {
                let temporary =
                    Utf8PathBuf::try_from(std::env::temp_dir()).context("the folder for temporary files")?;
                temporary.join(format!("xtask-rehearsal-{digits}"))
            }
            false => folder.join("database"),
        };
        Ok(Self {
            project: folder.join("project"),
            remote: folder.join("remote.git"),
            servers: folder.join("servers"),
            look: folder.join("look"),
            json: folder.join("account.json"),
            html: folder.join("account.html"),
            host: format!("rehearsal-{digits}"),
            database,
            folder,
        })
    }

    /// Makes the folder, for this user alone, and locks it. Fails with [`Failure::Locked`] while another rehearsal of the
    /// environment runs.
    pub fn take(&self, doing: &str) -> Result<Lock, Failure> {
        private_folder(&self.folder).context("make the folder of the rehearsal")?;
        private_folder(self.folder.parent().unwrap_or(&self.folder)).context("restrict access to it")?;
        Lock::try_take(&self.lock(), doing).map_err(|error| match error {
            LockError::Held { holder, .. } => Failure::Locked(anyhow!(
                "this environment is being rehearsed, or has been kept by --keep: {holder}\n  wait until it has ended, or end it"
            )),
            LockError::Broken { .. } => anyhow!(error).into(),
        })
    }

    /// Whether an earlier rehearsal has left something behind beside its account.
    pub fn has_remains(&self) -> bool {
        [&self.project, &self.remote, &self.servers, &self.database].iter().any(|path| path.exists())
    }

    /// The folders whose processes are the rehearsal's.
    pub fn folders(&self) -> [&Utf8Path; 2] {
        [&self.folder, &self.database]
    }

    /// Notes that the rehearsal has ended, and only waits for `clean` or Ctrl-C.
    pub fn note_kept(&self) -> Result<()> {
        replace_file(&self.kept(), &serde_json::to_vec(&Process::this())?)
    }

    /// Asks a rehearsal that only waits to end: whether there is one.
    pub fn end_kept(&self) -> Result<bool> {
        let Some(text) = found(fs_err::read(self.kept()))? else { return Ok(false) };
        let process: Process = serde_json::from_slice(&text).context("read who has kept the rehearsal")?;
        if process.is_known_dead() {
            return Ok(false);
        }
        let pid = Pid::from_raw(process.pid).context("the process has a number")?;
        Ok(kill_process(pid, Signal::TERM).is_ok())
    }

    /// Removes the files, and keeps the account.
    pub fn remove(&self) -> Result<()> {
        for folder in [&self.project, &self.remote, &self.servers, &self.database] {
            found(fs_err::remove_dir_all(folder))?;
        }
        for file in [&self.look, &self.kept()] {
            found(fs_err::remove_file(file))?;
        }
        Ok(())
    }

    /// Removes the account too, and the lock's file.
    pub fn remove_all(&self) -> Result<()> {
        self.remove()?;
        found(fs_err::remove_dir_all(&self.folder))?;
        found(fs_err::remove_file(self.lock()))?;
        Ok(())
    }

    fn kept(&self) -> Utf8PathBuf {
        self.folder.join("kept.json")
    }

    fn lock(&self) -> Utf8PathBuf {
        Utf8PathBuf::from(format!("{}.lock", self.folder))
    }
}
