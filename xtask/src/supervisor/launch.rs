//! Starts a supervisor that outlives the command.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::OpenOptionsExt as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::client::{Connection, connect};
use super::inherited;
use super::protocol::{Started, decode};
use super::supervisor_log;
use crate::fs::{Lock, own_folder, private_folder};

/// How long to wait for another launch of the same supervisor.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// How long another starting child may keep the fresh copy of the toolkit open.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a supervisor could not be launched.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// Another process listens on the address.
    #[error("{listen} is in use by another process")]
    PortInUse {
        /// The address.
        listen: SocketAddr,
    },
    /// Anything else.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// Starts the supervisor of this state folder on the address `listen`, and connects to it. If another launch has started it
/// meanwhile, connects to that one, whose address may differ: see [`Connection::about`].
///
/// `program` is the toolkit's binary. It is copied to `bin/xtask` in the state folder, because a rebuild or `cargo clean` removes
/// the original. `toolkit` is the version that the supervisor reports.
pub async fn launch(
    state_dir: &Utf8Path,
    listen: SocketAddr,
    program: &Utf8Path,
    toolkit: &str,
) -> Result<Connection, LaunchError> {
    private_folder(state_dir).context("create the state folder")?;
    let state_dir = &state_dir.canonicalize_utf8().with_context(|| format!("find the folder {state_dir}"))?;
    // One launch at a time: the second would find that the supervisor of the first exists but does not answer yet.
    let lock = Lock::take(&state_dir.join("launch.lock"), "launches the supervisor", LOCK_TIMEOUT).await;
    let _lock = lock.with_context(|| format!("wait for another launch of the supervisor of {state_dir}"))?;
    if let Some(connection) = connect(state_dir).await? {
        return Ok(connection);
    }
    let program = copy_program(program, state_dir, "xtask")?;
    match start(state_dir, listen, &program, toolkit).await? {
        Started::Ready => {}
        Started::PortInUse => return Err(LaunchError::PortInUse { listen }),
        Started::Failed(text) => return Err(anyhow!(text).context("start the supervisor").into()),
    }
    let connection = connect(state_dir).await?;
    let log = supervisor_log(state_dir);
    Ok(connection.with_context(|| format!("the supervisor ended right after its start; see {log}"))?)
}

/// Copies the toolkit to `bin/NAME` in a state folder. An earlier copy is replaced by a rename, so that what runs keeps it.
pub fn copy_program(program: &Utf8Path, state_dir: &Utf8Path, name: &str) -> anyhow::Result<Utf8PathBuf> {
    let folder = state_dir.join("bin");
    own_folder(&folder, None, 0o700)?;
    let copy = folder.join(name);
    let private = std::fs::Permissions::from_mode(0o700);
    let mut temporary = tempfile::Builder::new().prefix(".xtask-").permissions(private.clone()).tempfile_in(&folder)?;
    let mut program = fs_err::File::open(program)?;
    std::io::copy(&mut program, &mut temporary).with_context(|| format!("copy the toolkit to {copy}"))?;
    // The process's umask may have taken something off.
    temporary.as_file().set_permissions(private)?;
    temporary.persist(&copy).with_context(|| format!("put {copy} in its place"))?;
    Ok(copy)
}

/// Starts it and reads its start message.
async fn start(state_dir: &Utf8Path, listen: SocketAddr, program: &Utf8Path, toolkit: &str) -> anyhow::Result<Started> {
    let log = supervisor_log(state_dir);
    own_folder(&state_dir.join("logs"), None, 0o700)?;
    let stderr = fs_err::OpenOptions::new().append(true).create(true).mode(0o600).open(&log)?;
    let mut command = Command::new(program);
    command.arg("supervise").arg(state_dir).args(["--listen", &listen.to_string(), "--toolkit", toolkit]);
    // The state folder, so that the supervisor does not keep the caller's folder in use.
    command.current_dir(state_dir);
    // It outlives this command, and everyone who may read its environment would have the keys of this one's.
    command.env_clear().envs(inherited());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::from(stderr.into_file()));
    let mut child = spawn_fresh(&mut command).await.with_context(|| format!("start the supervisor {program}"))?;
    let stdout = child.stdout.take().context("the supervisor has no standard output")?;
    let line = BufReader::new(stdout).lines().next_line().await.context("read the supervisor's start message")?;
    decode(&line.with_context(|| format!("the supervisor ended during its start; see {log}"))?)
}

/// Starts a program that was just written. A child that another task forked meanwhile holds the file open for writing until
/// its `exec`, and the kernel refuses to run such a file. No event signals the end of that, so this tries again.
async fn spawn_fresh(command: &mut Command) -> std::io::Result<Child> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && Instant::now() < deadline => {
                sleep(Duration::from_millis(5)).await;
            }
            result => return result,
        }
    }
}
