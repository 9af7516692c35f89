//! OpenSSH's server, with a key, a configuration and a port of its own, for this machine and this user alone.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::server::{Ready, Server};
use crate::{OwnEngine, path, port};

/// Where a server that root starts has its processes without rights.
const EMPTY: &str = "/run/sshd";

/// What makes the host of [`Sshd::start_without_docker`]: its own /etc and /run, and a user. Its arguments are the server's folder, the path of
/// dockerd, and what to run then.
const WITHOUT_DOCKER: &str = include_str!("sshd/without_docker.sh");

/// Where a server is started.
enum Place<'a> {
    Here,
    /// The host of this engine, and its name.
    Beside(&'a OwnEngine, &'a str),
    /// With this answer of sudo.
    WithoutDocker(Sudo),
}

/// What sudo does on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sudo {
    /// It runs the command.
    Runs,
    /// It wants a password.
    Asks,
}

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
        Self::start_at(&Place::Here)
    }

    /// Starts one on a host of its own, of this name: its network is that of this engine, which is the host's Docker engine. A link
    /// leads there from this machine.
    pub fn start_beside(engine: &OwnEngine, name: &str) -> Result<Self> {
        let what = "an SSH server on a host of its own";
        path::need(what, "nsenter", "apt-get install util-linux")?;
        path::need(what, "ip", "apt-get install iproute2")?;
        Self::start_at(&Place::Beside(engine, name))
    }

    /// Starts one on a Debian host without Docker, whose user `deploy` logs in. Its package manager and its service manager are
    /// programs that note what they are asked ([`Sshd::asked`]): the package `docker.io` is this machine's dockerd, and the service is
    /// this machine's engine.
    pub fn start_without_docker(sudo: Sudo) -> Result<Self> {
        path::need("a host without Docker", "unshare", "apt-get install util-linux")?;
        Self::start_at(&Place::WithoutDocker(sudo))
    }

    fn start_at(place: &Place<'_>) -> Result<Self> {
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
        let (port, own) = (port::free(), folder.path().display());
        let ip = match place {
            Place::Here | Place::WithoutDocker(_) => Ipv4Addr::LOCALHOST,
            Place::Beside(engine, _) => link(engine, port)?,
        };
        let address = SocketAddr::from((ip, port));
        let programs = match place {
            Place::WithoutDocker(_) => format!(" PATH={own}/programs:/usr/bin:/bin"),
            Place::Here | Place::Beside(..) => String::new(),
        };
        let server = format!(
            "ListenAddress {address}\nHostKey {own}/host\nAuthorizedKeysFile {own}/user.pub\nPidFile none\nUsePAM no\nStrictModes no\n\
             PasswordAuthentication no\nPermitRootLogin prohibit-password\nSetEnv XDG_STATE_HOME={own}/states{programs}\n"
        );
        let host = match place {
            Place::Here | Place::WithoutDocker(_) => "127.0.0.1".to_owned(),
            Place::Beside(_, name) => format!("{name}\nPort {port}"),
        };
        let client = format!(
            "Host {host}\nHostName {ip}\nUserKnownHostsFile {own}/known\nGlobalKnownHostsFile /dev/null\nStrictHostKeyChecking yes\nIdentityFile {own}/user\n\
             IdentitiesOnly yes\n"
        );
        let known = format!("[{ip}]:{port} {}", fs_err::read_to_string(at("host.pub"))?);
        let wrapper = "#!/bin/sh\nexec /usr/bin/ssh -F \"$(dirname \"$0\")/../client.conf\" \"$@\"\n";
        fs_err::create_dir(at("bin"))?;
        for (name, text) in
            [("sshd.conf", server.as_str()), ("client.conf", &client), ("known", &known), ("bin/ssh", wrapper)]
        {
            fs_err::write(at(name), text)?;
        }
        fs_err::set_permissions(at("bin/ssh"), std::fs::Permissions::from_mode(0o755))?;
        let (mut command, ready) = match place {
            Place::Here => (Command::new(program), Ready::Port(address)),
            Place::WithoutDocker(sudo) => {
                let dockerd = path::need("a host without Docker", "dockerd", "apt-get install docker.io")?;
                write_programs(&at("programs"), *sudo)?;
                // The user who logs in reads its key, and runs the programs.
                fs_err::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
                let mut command = Command::new("unshare");
                command
                    .args(["--mount", "sh", "-e", "-c", WITHOUT_DOCKER])
                    .args([folder.path(), &dockerd])
                    .arg(program);
                (command, Ready::Port(address))
            }
            Place::Beside(engine, _) => {
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

    /// What changes the host without Docker was asked for, a command each.
    pub fn asked(&self) -> Vec<String> {
        let asked = fs_err::read_to_string(self.folder.path().join("asked")).unwrap_or_default();
        asked.lines().map(str::to_owned).collect()
    }

    /// The folder of states of the user who logs in.
    pub fn states(&self) -> PathBuf {
        self.folder.path().join("states")
    }
}

/// Writes the programs that are not this machine's own.
fn write_programs(folder: &Path, sudo: Sudo) -> Result<()> {
    let sudo = match sudo {
        // `/run/root` is setpriv(1) with the rights of root.
        Sudo::Runs => "shift\nexec /run/root --reuid=0 --regid=0 --clear-groups \"$@\"\n",
        Sudo::Asks => "echo 'sudo: a password is required' >&2\nexit 1\n",
    };
    fs_err::create_dir(folder)?;
    let (apt, systemctl) = (include_str!("sshd/apt-get.sh"), include_str!("sshd/systemctl.sh"));
    for (name, text) in [("sudo", sudo), ("apt-get", apt), ("systemctl", systemctl)] {
        fs_err::write(folder.join(name), format!("#!/bin/sh\n{text}"))?;
        fs_err::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Makes a link from this machine to the network of an engine, and returns the address there. It goes with that network. The addresses
/// are of those that are meant for tests (RFC 2544), and their ends are the port, which is free on this machine.
fn link(engine: &OwnEngine, port: u16) -> Result<Ipv4Addr> {
    let [high, low] = port.to_be_bytes();
    let (here, there) = (Ipv4Addr::new(198, 18, high, low), Ipv4Addr::new(198, 19, high, low));
    let script = "ip link add veth$1h type veth peer name veth$1t netns $0
        ip address add $2 peer $3 dev veth$1h
        ip link set veth$1h up
        exec nsenter --net --target $0 sh -e -c 'ip address add $2 peer $1 dev veth$0t; ip link set veth$0t up' $1 $2 $3";
    let mut make = Command::new("sh");
    make.args(["-e", "-c", script, &engine.pid().to_string(), &port.to_string()]);
    let made = make.args([here.to_string(), there.to_string()]).output().context("run ip")?;
    ensure!(made.status.success(), "no link to a host's network: {}", String::from_utf8_lossy(&made.stderr));
    Ok(there)
}

/// What has nsenter(1) run a command in the network of an engine, and with its mounts.
fn beside(engine: &OwnEngine) -> [String; 4] {
    ["--net", "--mount", "--target", &engine.pid().to_string()].map(str::to_owned)
}
