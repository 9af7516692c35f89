//! A registry of a test's own: Debian's `docker-registry`, on a port of its own.

use std::process::Command;

use super::child::Server;

/// Who may enter a closed registry. The password has characters that differ between the alphabets of base64.
pub const USER: &str = "deployer";
/// Their password.
pub const PASSWORD: &str = "s3cret~?>~~~pass";
/// bcrypt of the password, as `htpasswd -B` writes it.
const HASH: &str = "$2b$05$abcdefghijklmnopqrstuuRSI5fkN3GBNVOr3IDTM7cqlW4aM5YBe";

/// A registry without encryption, which builders accept on this address.
pub struct Registry {
    _server: Server,
    _folder: tempfile::TempDir,
    /// `127.0.0.1:port`.
    pub host: String,
}

impl Registry {
    /// Starts one that is open to all, or only to [`USER`]. Fails with what this machine lacks.
    pub fn start(closed: bool) -> Result<Self, String> {
        Self::start_by(Command::new("docker-registry"), closed)
    }

    /// One that is open to all who share the network of this process.
    pub fn start_beside(pid: u32) -> Result<Self, String> {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{pid}/ns/net")).arg("docker-registry");
        Self::start_by(command, false)
    }

    fn start_by(mut command: Command, closed: bool) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let data = folder.path().display();
        let mut config = format!(
            "version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {data}/data}}, delete: {{enabled: true}}}}\n\
             http: {{addr: '127.0.0.1:0'}}\n"
        );
        if closed {
            fs_err::write(folder.path().join("htpasswd"), format!("{USER}:{HASH}\n")).map_err(|e| e.to_string())?;
            config.push_str(&format!("auth: {{htpasswd: {{realm: tests, path: {data}/htpasswd}}}}\n"));
        }
        let path = folder.path().join("config.yml");
        fs_err::write(&path, config).map_err(|error| error.to_string())?;
        command.arg("serve").arg(path);
        let (server, host) = Server::start(&mut command, |line| {
            let (_, rest) = line.split_once("listening on ")?;
            Some(rest.split(|c: char| c != '.' && c != ':' && !c.is_ascii_digit()).next()?.to_owned())
        })?;
        Ok(Self { _server: server, _folder: folder, host })
    }
}
