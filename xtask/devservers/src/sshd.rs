//! OpenSSH's server, with a key, a configuration and a port of its own, for this machine and this user alone.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::server::{Ready, Server};
use crate::{OwnEngine, path, port};

/// Where a server that root starts has its processes without rights.
const EMPTY: &str = "/run/sshd";

/// A server that lets its own key in. It ends when this value is dropped.
pub struct Sshd {
    /// Its port of the loopback address.
    pub port: u16,
    _server: Server,
    folder: tempfile::TempDir,
}

impl Sshd {
    /// Starts one. Commands that it runs find the folder [`Sshd::states`] in XDG_STATE_HOME.
    pub fn start() -> Result<Self> {
        Self::start_at(None)
    }

    /// Starts one on a host of its own, of this name: its network is that of this engine, which is the host's Docker engine.
    pub fn start_beside(engine: &OwnEngine, name: &str) -> Result<Self> {
        path::need("an SSH server on a host of its own", "nsenter", "apt-get install util-linux")?;
        Self::start_at(Some((engine, name)))
    }

    fn start_at(engine: Option<(&OwnEngine, &str)>) -> Result<Self> {
        path::need_root("an SSH server", "it runs commands as the user who logs in")?;
        let program = path::need("an SSH server", "sshd", "apt-get install openssh-server")?;
        let folder = tempfile::tempdir().context("make a folder for sshd")?;
        let at = |name: &str| folder.path().join(name);
        for name in ["host", "user"] {
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(at(name)).status();
            ensure!(made.context("run ssh-keygen")?.success(), "ssh-keygen made no key");
        }
        fs_err::create_dir_all(EMPTY)?;
        fs_err::create_dir(at("states"))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port::free()));
        let (port, own) = (address.port(), folder.path().display());
        let server = format!(
            "ListenAddress {address}\nHostKey {own}/host\nAuthorizedKeysFile {own}/user.pub\nPidFile none\nUsePAM no\nStrictModes no\n\
             PasswordAuthentication no\nPermitRootLogin prohibit-password\nSetEnv XDG_STATE_HOME={own}/states\n"
        );
        let (host, way) = match engine {
            None => ("127.0.0.1".to_owned(), String::new()),
            Some((engine, name)) => (
                format!("{name}\nPort {port}"),
                format!("ProxyCommand nsenter {} busybox nc 127.0.0.1 {port}\n", beside(engine).join(" ")),
            ),
        };
        let client = format!(
            "Host {host}\nHostName 127.0.0.1\n{way}UserKnownHostsFile {own}/known\nGlobalKnownHostsFile /dev/null\nStrictHostKeyChecking yes\nIdentityFile {own}/user\n\
             IdentitiesOnly yes\n"
        );
        let known = format!("[127.0.0.1]:{port} {}", fs_err::read_to_string(at("host.pub"))?);
        let wrapper = "#!/bin/sh\nexec /usr/bin/ssh -F \"$(dirname \"$0\")/../client.conf\" \"$@\"\n";
        fs_err::create_dir(at("bin"))?;
        for (name, text) in
            [("sshd.conf", server.as_str()), ("client.conf", &client), ("known", &known), ("bin/ssh", wrapper)]
        {
            fs_err::write(at(name), text)?;
        }
        fs_err::set_permissions(at("bin/ssh"), std::fs::Permissions::from_mode(0o755))?;
        let (mut command, ready) = match engine {
            None => (Command::new(program), Ready::Port(address)),
            Some((engine, _)) => {
                let socket = engine.address().trim_start_matches("unix://").to_owned();
                let script = "mount --bind \"$0\" /var/run/docker.sock && exec \"$@\"";
                let mut command = Command::new("nsenter");
                command.args(beside(engine)).args(["unshare", "--mount", "sh", "-c", script, &socket]).arg(program);
                let up = |line: &str| line.contains("Server listening on").then(String::new);
                (command, Ready::Line(up))
            }
        };
        command.args(["-D", "-e", "-f"]).arg(at("sshd.conf"));
        let server = Server::start(command, ready)?;
        Ok(Self { port, _server: server, folder })
    }

    /// Lets this server's `ssh` log in at another one, by the name of its host.
    pub fn know(&self, other: &Self) -> Result<()> {
        let (own, other) = (self.folder.path().join("client.conf"), other.folder.path().join("client.conf"));
        let both = fs_err::read_to_string(&own)? + &fs_err::read_to_string(other)?;
        Ok(fs_err::write(own, both)?)
    }

    /// A folder for the PATH, whose `ssh` logs in at this server.
    pub fn bin(&self) -> PathBuf {
        self.folder.path().join("bin")
    }

    /// The folder of states of the user who logs in.
    pub fn states(&self) -> PathBuf {
        self.folder.path().join("states")
    }
}

/// What has nsenter(1) run a command in the network of an engine, and with its mounts.
fn beside(engine: &OwnEngine) -> [String; 4] {
    ["--net", "--mount", "--target", &engine.pid().to_string()].map(str::to_owned)
}
