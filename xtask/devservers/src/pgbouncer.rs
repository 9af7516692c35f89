//! PgBouncer before a PostgreSQL.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::server::{Ready, Server};
use crate::{path, port};

/// A user of every system without rights: PgBouncer refuses to run as root.
const USER: &str = "nobody";

/// A pooler of connections. It ends when this value is dropped.
pub struct PgBouncer {
    /// Its port of the loopback address.
    pub port: u16,
    _server: Server,
    _folder: tempfile::TempDir,
}

impl PgBouncer {
    /// Starts one. `database` is how PgBouncer reaches every database of a server: `host=127.0.0.1 port=5432 user=postgres`. `settings`
    /// are more lines of its configuration, such as `pool_mode = transaction`. Root starts it as `user`, by uid and gid, or else as a user
    /// without rights: it has to reach the server's socket. It asks no client for a password.
    pub fn start(database: &str, settings: &str, user: Option<(u32, u32)>) -> Result<Self> {
        let program = path::need("a pooler of connections", "pgbouncer", "apt-get install pgbouncer")?;
        let folder = tempfile::Builder::new().prefix("pgbouncer-").tempdir_in("/tmp");
        let folder = folder.context("make a folder for PgBouncer")?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port::free()));
        let port = address.port();
        let text = format!(
            "[databases]\n* = {database}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             {settings}\n"
        );
        let configuration = folder.path().join("pgbouncer.ini");
        fs_err::write(&configuration, text)?;
        for (path, mode) in [(folder.path(), 0o755), (configuration.as_path(), 0o644)] {
            fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        }
        let mut command = Command::new(program);
        match user {
            _ if !rustix::process::geteuid().is_root() => {}
            Some((uid, gid)) => drop(command.uid(uid).gid(gid)),
            None => drop(command.args(["--user", USER])),
        }
        command.arg(configuration);
        let server = Server::start(command, Ready::Port(address))?;
        Ok(Self { port, _server: server, _folder: folder })
    }
}
