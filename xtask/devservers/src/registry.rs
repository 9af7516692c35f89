//! An image registry: Debian's `docker-registry`.

mod content;
mod tokens;

use std::process::Command;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub use self::content::{Image, digest_of};
pub use self::tokens::Tokens;
use crate::server::{Ready, Server};
use crate::{path, port};

/// The only user of a registry that knows one.
pub const USER: &str = "deployer";
/// The user's password. It has characters that differ between the alphabets of base64.
pub const PASSWORD: &str = "s3cret~?>~~~pass";
/// `htpasswd -nB` of the two.
const HTPASSWD: &str = "deployer:$2b$05$abcdefghijklmnopqrstuuRSI5fkN3GBNVOr3IDTM7cqlW4aM5YBe\n";

/// How a registry authenticates its clients.
pub enum Login {
    /// Not at all.
    Open,
    /// By [`USER`] and [`PASSWORD`].
    Password,
    /// By [`USER`] and this password, which no other user of this machine knows.
    Own(String),
    /// By tokens of this server.
    Token(Tokens),
}

/// A registry. It ends, and its images go, when this value is dropped.
pub struct DockerRegistry {
    /// `127.0.0.1:<port>`.
    pub address: String,
    pub login: Login,
    server: Server,
    _folder: tempfile::TempDir,
}

impl DockerRegistry {
    /// Starts one that allows to delete images.
    pub fn start(login: Login) -> Result<Self> {
        Self::start_with(login, true)
    }

    /// Starts one that allows to delete images or does not.
    pub fn start_with(login: Login, deletes: bool) -> Result<Self> {
        Self::start_by(Command::new(program()?), login, deletes)
    }

    /// Starts an open one in the network namespace of this process.
    pub fn start_beside(pid: u32) -> Result<Self> {
        let mut command =
            Command::new(path::need("a registry in a namespace", "nsenter", "apt-get install util-linux")?);
        command.arg(format!("--net=/proc/{pid}/ns/net")).arg(program()?);
        Self::start_by(command, Login::Open, true)
    }

    /// The requests that were answered, oldest first: `HEAD /v2/… HTTP/1.1`. The registry logs a request after its answer.
    pub fn requests(&self) -> Vec<String> {
        let quoted = |line: String| line.split('"').nth(1).map(str::to_owned);
        let requests = self.server.lines().into_iter().filter_map(quoted);
        requests.filter(|request| request.contains(" HTTP/1.")).collect()
    }

    /// A folder with a configuration of Docker's client that holds this registry's password.
    pub fn docker_config(&self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let auth = json!({ "auth": STANDARD.encode(format!("{USER}:{PASSWORD}")) });
        let config = json!({ "auths": { self.address.as_str(): auth } });
        fs_err::write(folder.path().join("config.json"), config.to_string()).unwrap();
        folder
    }

    /// Kills the server; its images stay.
    pub fn pause(&mut self) {
        self.server.kill();
    }

    /// Starts it again at the same address.
    pub fn go_on(&mut self) -> Result<()> {
        self.server.restart()
    }

    fn start_by(mut command: Command, login: Login, deletes: bool) -> Result<Self> {
        let folder = tempfile::tempdir().context("make a folder for a registry")?;
        let path = |name: &str| folder.path().join(name);
        let mut config = json!({
            "version": "0.1",
            "log": {"level": "info"},
            "storage": {"filesystem": {"rootdirectory": path("data")}, "delete": {"enabled": deletes}},
            // Always the same one, so that it can be started again there.
            "http": {"addr": format!("127.0.0.1:{}", port::free())},
        });
        if let Some(auth) = auth(&login, folder.path())? {
            config["auth"] = auth;
        }
        // JSON is YAML too.
        fs_err::write(path("config.yml"), config.to_string())?;
        command.arg("serve").arg(path("config.yml"));
        let address = |line: &str| {
            let (_, rest) = line.split_once("listening on ")?;
            rest.split(['"', ',', ' ']).next().map(str::to_owned)
        };
        let server = Server::start(command, Ready::Line(address))?;
        Ok(Self { address: server.said(), login, server, _folder: folder })
    }
}

/// The path of its program.
pub fn program() -> Result<std::path::PathBuf> {
    path::need("an image registry", "docker-registry", "apt-get install docker-registry")
}

/// The part of the configuration that says who may use it.
fn auth(login: &Login, folder: &std::path::Path) -> Result<Option<Value>> {
    Ok(match login {
        Login::Open => None,
        Login::Password => Some(passwords(HTPASSWD, folder)?),
        // The least rounds: a password that is not generated does not belong here.
        Login::Own(password) => {
            let hash = bcrypt::hash(password, 4).context("hash the registry's password")?;
            Some(passwords(&format!("{USER}:{hash}\n"), folder)?)
        }
        Login::Token(tokens) => {
            let file = folder.join("root.pem");
            fs_err::write(&file, tokens.certificate())?;
            let (realm, service, issuer) = (tokens.realm(), tokens::SERVICE, tokens::ISSUER);
            Some(json!({"token": {"realm": realm, "service": service, "issuer": issuer, "rootcertbundle": file}}))
        }
    })
}

fn passwords(text: &str, folder: &std::path::Path) -> Result<Value> {
    let file = folder.join("htpasswd");
    fs_err::write(&file, text)?;
    Ok(json!({"htpasswd": {"realm": "test", "path": file}}))
}
