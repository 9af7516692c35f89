//! Another machine, by the system's ssh(1) with the user's own configuration: one connection, which commands and forwards share.
//! Nothing of it is installed there.

use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use camino::Utf8PathBuf;
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::Mutex;

use super::cmd::{Cmd, Inherited};
use super::port;
use crate::config::Host;

/// The agent that has the user's keys.
const AGENT: &[&str] = &["SSH_AUTH_SOCK"];
/// The socket by which other processes of ssh use a connection.
const CONTROL: &str = "control";
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(30);
/// The most of ssh's own messages that an error repeats, in bytes.
const SAID: u64 = 4096;

/// Another machine. Connects with the first use, and stays connected until the last copy is dropped. Once a connection is cut, the
/// next use makes another one.
#[derive(Clone, Debug)]
pub struct Remote {
    host: Host,
    connection: Arc<Mutex<Option<Connection>>>,
}

#[derive(Debug)]
struct Connection {
    /// With the socket by which other processes of ssh use the connection.
    folder: TempDir,
    /// Ends with this value, or with this process: its input is closed then.
    _master: Child,
    _input: ChildStdin,
}

impl Connection {
    /// Whether ssh still listens for other processes: it ends when the connection does.
    fn lives(&self) -> bool {
        UnixStream::connect(self.folder.path().join(CONTROL)).is_ok()
    }
}

impl Remote {
    /// The machine. Nothing is asked yet.
    pub fn new(host: Host) -> Self {
        Self { host, connection: Arc::default() }
    }

    /// `ssh://user@host:port`
    pub fn address(&self) -> String {
        let port = self.host.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("ssh://{}{port}", self.host.destination)
    }

    /// Runs a POSIX shell's script there with this input. Its exit code, one of `answers` or 0, and its standard output.
    pub async fn run(&self, script: &str, input: Vec<u8>, answers: &[i32]) -> Result<(i32, Vec<u8>)> {
        let quoted = shlex::try_quote(script).context("quote a script for the shell of another machine")?;
        let command = self.ssh(&[]).await?.arg("--").arg(&self.host.destination).arg(format!("exec sh -c {quoted}"));
        let ran = command.input(input).capture_if(|code| answers.contains(&code)).await;
        ran.map_err(|error| {
            // The error shows the whole command; its last lines are what went wrong.
            let said = format!("{error:#}");
            let said = said.split_once("Its output:\n").map_or(said.as_str(), |(_, said)| said);
            anyhow!("a command on {} failed: {said}", self.address())
        })
    }

    /// A socket of this machine that leads to a socket there.
    pub async fn forward_socket(&self, there: &str) -> Result<Utf8PathBuf> {
        let here = self.folder().await?.join("forwarded.sock");
        self.forward(&format!("{here}:{there}")).await?;
        Ok(here)
    }

    /// A port of this machine's loopback address that leads to a port of the loopback address there.
    pub async fn forward_port(&self, there: u16) -> Result<u16> {
        let here = port::free(IpAddr::V4(Ipv4Addr::LOCALHOST)).context("find a free port")?;
        self.forward(&format!("127.0.0.1:{here}:127.0.0.1:{there}")).await?;
        Ok(here)
    }

    async fn forward(&self, what: &str) -> Result<()> {
        let command = self.ssh(&["-O", "forward", "-L", what]).await?.arg("--").arg(&self.host.destination);
        command.capture().await.map(drop).with_context(|| format!("forward {what} of {}", self.address()))
    }

    /// ssh by the connection that there is.
    async fn ssh(&self, args: &[&str]) -> Result<Cmd> {
        let control = self.folder().await?.join(CONTROL);
        let port = self.host.port.map(|port| ["-p".to_owned(), port.to_string()]);
        let command =
            Cmd::new("ssh").inherits(Inherited::Named(AGENT)).args(["-S", control.as_str(), "-o", "BatchMode=yes"]);
        Ok(command.args(port.into_iter().flatten()).args(args.iter().copied()))
    }

    /// The folder of the connection: another one than before where that was cut, and its forwards are gone.
    pub async fn folder(&self) -> Result<Utf8PathBuf> {
        let mut kept = self.connection.lock().await;
        let connection = match kept.take_if(|connection| connection.lives()) {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let folder = connection.folder.path().to_owned();
        *kept = Some(connection);
        Utf8PathBuf::from_path_buf(folder)
            .map_err(|path| anyhow!("the folder for temporary files is not named in UTF-8: {}", path.display()))
    }

    async fn connect(&self) -> Result<Connection> {
        let port = self.host.port.map(|port| format!("-p {port} ")).unwrap_or_default();
        let what = || format!("connect to {}; try by hand: ssh {port}{}", self.address(), self.host.destination);
        // The path of a socket is short.
        let folder = tempfile::Builder::new().prefix("xtask-ssh-").tempdir_in("/tmp").with_context(what)?;
        let control = folder.path().join(CONTROL);
        let mut command = Command::new("ssh");
        command.env_clear().envs(Inherited::Named(AGENT).variables());
        command.arg("-M").arg("-S").arg(&control).args(["-T", "-o", "BatchMode=yes", "-o", "ControlPersist=no"]);
        // One that is gone is noticed.
        command.args(["-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3"]);
        command.args(["-o", "StreamLocalBindUnlink=yes"]);
        if let Some(port) = self.host.port {
            command.args(["-p", &port.to_string()]);
        }
        // A process that is killed leaves no connection: the program there ends with its input.
        command.arg("--").arg(&self.host.destination).arg("exec cat");
        // Ctrl-C is this process's: what it undoes then takes the connection.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut master = command.spawn().context("start ssh").with_context(what)?;
        let input = master.stdin.take().context("ssh has no input")?;
        let is_there = async {
            while !control.exists() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            () = is_there => {
                // Unread, it would fill, and ssh would wait.
                if let Some(mut stderr) = master.stderr.take() {
                    tokio::spawn(async move { tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await });
                }
                Ok(Connection { folder, _master: master, _input: input })
            }
            ended = master.wait() => {
                let mut said = String::new();
                if let Some(stderr) = master.stderr.take() {
                    stderr.take(SAID).read_to_string(&mut said).await.with_context(what)?;
                }
                Err(anyhow!("ssh ended with {}: {}", ended.with_context(what)?, said.trim())).with_context(what)
            }
            () = tokio::time::sleep(CONNECT) => {
                Err(anyhow!("no connection within {} s", CONNECT.as_secs())).with_context(what)
            }
        }
    }
}
