//! A supervised service for a test, and clients of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use testkit::until_async;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::fixture;
use xtask::supervisor::client::{Connection, connect};
use xtask::supervisor::{InstanceSpec, LaunchError, launch, service_log};

/// A state folder, whose supervisor is killed at the end of the test.
pub struct Site {
    pub state_dir: Utf8PathBuf,
    _folder: TempDir,
}

impl Site {
    pub fn new() -> Self {
        Self::below("state")
    }

    pub fn below(path: impl AsRef<Utf8Path>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state_dir = Utf8Path::from_path(folder.path()).unwrap().join(path);
        Self { state_dir, _folder: folder }
    }

    /// Launches a supervisor on any free port.
    pub async fn launch(&self) -> Connection {
        self.launch_on("127.0.0.1:0".parse().unwrap()).await.unwrap()
    }

    pub async fn launch_on(&self, listen: SocketAddr) -> Result<Connection, LaunchError> {
        let connection = launch(&self.state_dir, listen, toolkit(), "1.2.3").await?;
        fs_err::write(self.state_dir.join("test.pid"), connection.about().pid.to_string()).unwrap();
        Ok(connection)
    }

    pub async fn connect(&self) -> Connection {
        connect(&self.state_dir).await.unwrap().expect("a running supervisor")
    }

    pub fn service_log(&self) -> String {
        fs_err::read_to_string(service_log(&self.state_dir)).unwrap_or_default()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Ok(pid) = fs_err::read_to_string(self.state_dir.join("test.pid")) {
            // Most tests leave it running; its children end with it.
            kill(pid.parse().unwrap(), Signal::KILL).ok();
        }
    }
}

/// The fixture with this version.
pub fn version(version: &str) -> InstanceSpec {
    version_that(version, "serve")
}

/// The fixture with this version and behaviour.
pub fn version_that(version: &str, behaviour: &str) -> InstanceSpec {
    InstanceSpec {
        id: format!("deploy-of-{version}"),
        version: version.to_owned(),
        program: fixture::program(),
        args: fixture::args("service"),
        dir: "/".into(),
        env: BTreeMap::from([
            ("FIXTURE_SERVICE".to_owned(), behaviour.to_owned()),
            ("FIXTURE_VERSION".to_owned(), version.to_owned()),
        ]),
        secrets: BTreeMap::new(),
        stop_timeout: InstanceSpec::STOP_TIMEOUT,
        user: None,
        port_variable: None,
    }
}

/// A service with this version and its framework's own shutdown.
pub fn stock_version(version: &str) -> InstanceSpec {
    InstanceSpec { args: fixture::args("stock_service"), ..version_that(version, "serve") }
}

/// A service that opens the port that PORT names, with this version.
pub fn port_version(version: &str) -> InstanceSpec {
    let args = fixture::args("port_service");
    InstanceSpec { args, port_variable: Some("PORT".to_owned()), ..version_that(version, "serve") }
}

/// A complete deploy: probes the candidate, checks the version at the public address, then commits.
pub async fn deploy(connection: &mut Connection, spec: &InstanceSpec) {
    let public = connection.about().listen;
    let candidate = connection.candidate(spec).await.unwrap();
    until_async("the candidate answers", async || {
        get(candidate.address, "/").await.is_ok_and(|body| body == spec.version)
    })
    .await;
    connection.promote().await.unwrap();
    until_async("the new version answers in public", async || {
        get(public, "/").await.is_ok_and(|body| body == spec.version)
    })
    .await;
    connection.commit().await.unwrap();
}

/// The built toolkit.
fn toolkit() -> &'static Utf8Path {
    Utf8Path::from_path(testkit::toolkit()).expect("its path is UTF-8")
}

/// The connection was closed before an answer began, so the request may be sent again.
#[derive(Debug, thiserror::Error)]
#[error("the connection was closed before an answer began")]
pub struct Closed;

/// Sends one request on a new connection.
pub async fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    Ok(request(&mut stream, path).await?.0)
}

/// Sends one request on this connection. Returns the body and whether the connection stays open.
pub async fn request(stream: &mut BufReader<TcpStream>, path: &str) -> Result<(String, bool)> {
    let (mut status, mut length, mut reusable) = (String::new(), None, true);
    let asked = async {
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).await?;
        stream.read_line(&mut status).await
    };
    match asked.await {
        Ok(read) if read > 0 => {}
        _ => bail!(Closed),
    }
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = Some(value.parse()?),
            "connection" => reusable = value == "keep-alive",
            _ => {}
        }
    }
    let mut body = vec![0; length.context("the answer is cut short")?];
    stream.read_exact(&mut body).await?;
    if !status.contains(" 200 ") {
        bail!("{status}");
    }
    Ok((String::from_utf8(body)?, reusable))
}

pub fn kill(pid: u32, signal: Signal) -> rustix::io::Result<()> {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal)
}

/// Whether a process has ended; it may still be a zombie.
pub fn has_ended(pid: u32) -> bool {
    let state = if cfg!(target_os = "linux") {
        let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").map(|(_, fields)| fields.to_owned()).unwrap_or_default()
    } else {
        let output = std::process::Command::new("ps").args(["-o", "state=", "-p", &pid.to_string()]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    state.is_empty() || state.starts_with('Z')
}
