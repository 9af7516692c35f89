//! The folder of a test's server, and helpers.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use testkit::until;

use super::*;
use crate::tools::postgres::installation::Installation;

/// With characters that need escapes in URLs, shells and files.
pub(super) const PASSWORD: &str = "sentinel p@ss/wörd'\"\\ %41";

/// A temporary folder that other users can reach, with a server in it that ends with the test.
pub(super) struct Scratch {
    root: tempfile::TempDir,
    /// The server's spec; its folder is the test's own.
    pub(super) folder: Utf8PathBuf,
    /// The superuser's.
    pub(super) password: SecretString,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self::of("postgres")
    }

    pub(super) fn of(inner: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs_err::set_permissions(root.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let folder = Utf8PathBuf::try_from(root.path().canonicalize().unwrap().join(inner)).unwrap();
        Self { root, folder, password: SecretString::from(PASSWORD) }
    }

    pub(super) fn spec(&self) -> ServerSpec<'_> {
        ServerSpec { folder: &self.folder, project: "xtask-test", role: "owner", password: &self.password }
    }

    pub(super) async fn ensure(&self, installation: &Installation) -> anyhow::Result<Server> {
        Server::ensure(installation, self.spec()).await
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(pid) = postmaster(&self.folder)
            && kill_process(pid, Signal::QUIT).is_ok()
        {
            until("the server has ended", || is_gone(pid));
        }
        assert!(self.root.path().exists());
    }
}

/// The process of the server in this folder.
pub(super) fn postmaster(home: &Utf8Path) -> Option<Pid> {
    let text = fs_err::read_to_string(home.join("data/postmaster.pid")).ok()?;
    Pid::from_raw(text.lines().next()?.parse().ok()?)
}

/// Whether a process has ended; a zombie has.
pub(super) fn is_gone(pid: Pid) -> bool {
    let line = Command::new("ps").args(["-o", "stat=", "-p", &pid.as_raw_pid().to_string()]).output().unwrap().stdout;
    line.is_empty() || line.starts_with(b"Z")
}

/// The programs of this choice. Without them the test is skipped, and fails in CI.
pub(super) async fn installed(choice: Choice) -> Option<Installation> {
    match locate_or_fetch(choice, |line| eprintln!("{line}")).await {
        Ok(installation) => Some(installation),
        Err(error) if std::env::var_os("CI").is_none() => {
            eprintln!("SKIPPED {}: {error:#}", std::thread::current().name().unwrap_or("a test"));
            None
        }
        Err(error) => panic!("{error:#}"),
    }
}
