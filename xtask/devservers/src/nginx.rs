//! nginx, the reference for served files, and wrk, which asks it and others.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::server::{Ready, Server};
use crate::{path, port};

/// A server of the files of a folder. It ends when this value is dropped.
pub struct Nginx {
    /// `127.0.0.1:<port>`.
    pub address: String,
    _server: Server,
    _folder: tempfile::TempDir,
}

impl Nginx {
    /// Starts one as Debian's package is set up: a worker for each processor, `sendfile`, no log of requests.
    pub fn start(files: &Path) -> Result<Self> {
        let program = path::need("a reference for served files", "nginx", "apt-get install nginx-light")?;
        let folder = tempfile::tempdir().context("make a folder for nginx")?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port::free()));
        let (own, user) =
            (folder.path().display(), if rustix::process::geteuid().is_root() { "user root;" } else { "" });
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary: String = temporary.iter().map(|kind| format!("{kind}_temp_path {own}/{kind};")).collect();
        let text = format!(
            "daemon off; {user} worker_processes auto; pid {own}/pid; error_log stderr;
             events {{ worker_connections 1024; }}
             http {{ access_log off; sendfile on; tcp_nopush on; {temporary}
                     server {{ listen {address}; root {}; }} }}",
            files.display()
        );
        let configuration = folder.path().join("nginx.conf");
        fs_err::write(&configuration, text)?;
        let mut command = Command::new(program);
        command.arg("-p").arg(folder.path()).arg("-c").arg(configuration);
        let server = Server::start(command, Ready::Port(address))?;
        Ok(Self { address: address.to_string(), _server: server, _folder: folder })
    }
}

/// The program wrk, which sends requests on many connections.
pub fn wrk() -> Result<PathBuf> {
    path::need("a load of requests", "wrk", "apt-get install wrk")
}
