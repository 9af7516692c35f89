//! The stand-in provider: OpenTofu makes resources of four providers with it, which are files in a folder.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::port;
use crate::server::{Ready, Server};

/// The providers that it stands in for.
pub const PROVIDERS: [&str; 4] = ["scaleway", "aws", "cloudflare", "supabase"];

/// A stand-in and the resources that it has made. It ends when this value is dropped, and they go, unless the folder was given.
pub struct Cloud {
    server: Server,
    folder: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

/// A stand-in that is not started yet.
pub struct Builder {
    command: Command,
    folder: Option<PathBuf>,
    gateway: bool,
}

/// Compiles the stand-in into this target folder, unless `cargo xtask test` has compiled it and says where: its path.
pub fn build(target: &Path) -> Result<PathBuf> {
    if let Some(program) = std::env::var_os("CARGO_BIN_EXE_standin") {
        return Ok(program.into());
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", "standin", "--target-dir"]).arg(target);
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().context("run cargo")?;
    ensure!(output.status.success(), "compile the stand-in: {}", String::from_utf8_lossy(&output.stderr));
    Ok(target.join("debug/standin"))
}

/// A file of the stand-in's schemas and rules.
pub fn schema(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../standin/schemas").join(name)
}

impl Builder {
    /// Sets a variable, such as one that gives it a server of this machine.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Keeps the resources in `cloud` of this folder, and the gateway's authority in `ca`.
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// With the platform's HTTP API, at a free port that stays the same when it is restarted.
    pub fn api(self) -> Self {
        self.variable("STANDIN_API", &format!("127.0.0.1:{}", port::free()))
    }

    /// With the DNS server, at a free port that stays the same when it is restarted.
    pub fn dns(self) -> Self {
        self.variable("STANDIN_DNS", &format!("127.0.0.1:{}", port::free()))
    }

    /// With the gateway at this address, whose port is 443.
    pub fn gateway(mut self, address: SocketAddr) -> Self {
        self.gateway = true;
        self.variable("STANDIN_GATEWAY", &address.to_string())
    }

    /// Starts it.
    pub fn start(mut self) -> Result<Cloud> {
        let temporary = match self.folder {
            Some(_) => None,
            None => Some(tempfile::tempdir().context("make a folder for the stand-in")?),
        };
        let folder = self.folder.or_else(|| temporary.as_ref().map(|it| it.path().to_owned())).unwrap_or_default();
        self.command.arg("--state").arg(folder.join("cloud"));
        if self.gateway {
            self.command.env("STANDIN_CA", folder.join("ca"));
        }
        let addresses = |line: &str| line.starts_with('{').then(|| line.to_owned());
        Ok(Cloud { server: Server::start(self.command, Ready::Line(addresses))?, folder, _temporary: temporary })
    }
}

impl Cloud {
    /// Starts this program with all providers and no resources. `machine` are the variables that give it servers of this
    /// machine, where containers, buckets or zones are to be more than files.
    pub fn start(program: &Path, machine: &[(&str, &str)]) -> Result<Self> {
        machine.iter().fold(Self::builder(program), |builder, (name, value)| builder.variable(name, value)).start()
    }

    /// This program with all providers.
    pub fn builder(program: &Path) -> Builder {
        let mut command = Command::new(program);
        for provider in PROVIDERS {
            command.arg("--schema").arg(schema(&format!("{provider}.json")));
            command.arg("--rules").arg(schema(&format!("{provider}.standin.json")));
        }
        command.arg("--rules").arg(schema("scaleway.rules.json"));
        Builder { command, folder: None, gateway: false }
    }

    /// The URL of the platform's HTTP API, also of Cockpit's Loki API.
    pub fn api(&self) -> Result<String> {
        self.address("api")
    }

    /// The address of the DNS server.
    pub fn dns(&self) -> Result<SocketAddr> {
        self.address("dns")?.parse().context("read the address of the stand-in's DNS server")
    }

    /// The address of the gateway.
    pub fn gateway(&self) -> Result<SocketAddr> {
        self.address("gateway")?.parse().context("read the address of the stand-in's gateway")
    }

    /// The certificate that clients of the gateway trust.
    pub fn ca(&self) -> Result<PathBuf> {
        Ok(self.address("ca")?.into())
    }

    fn address(&self, name: &str) -> Result<String> {
        let file = fs_err::read(self.folder().join("addresses.json"))?;
        let addresses: Value = serde_json::from_slice(&file).context("read the addresses of the stand-in")?;
        let found = addresses[name].as_str().map(str::to_owned);
        found.with_context(|| format!("the stand-in has no {name}: {addresses}"))
    }

    /// The addresses of its providers, for `TF_REATTACH_PROVIDERS`.
    pub fn addresses(&self) -> String {
        self.server.said()
    }

    /// Kills it and starts it again, with the resources that it had.
    pub fn restart(&mut self) {
        self.server.restart().unwrap();
    }

    /// Its process, for tests of how it ends.
    pub fn server(&mut self) -> &mut Server {
        &mut self.server
    }

    /// The resources of a type: the file and the values of each.
    pub fn kept(&self, kind: &str) -> Vec<(PathBuf, Value)> {
        let Ok(entries) = fs_err::read_dir(self.folder().join(kind)) else { return Vec::new() };
        let files = entries.map(|entry| entry.unwrap().path());
        files.map(|file| (file.clone(), serde_json::from_slice(&fs_err::read(&file).unwrap()).unwrap())).collect()
    }

    /// The only resource of a type.
    pub fn only(&self, kind: &str) -> (PathBuf, Value) {
        let mut kept = self.kept(kind);
        assert_eq!(kept.len(), 1, "{kind}: {kept:#?}");
        kept.remove(0)
    }

    /// The number of resources of all types.
    pub fn count(&self) -> usize {
        let kinds = fs_err::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap());
        let kinds = kinds.filter(|entry| entry.path().is_dir());
        kinds.map(|entry| self.kept(entry.file_name().to_str().unwrap()).len()).sum()
    }

    /// Makes calls fail, as `faults.json` describes it.
    pub fn faults(&self, entries: &Value) -> Result<()> {
        Ok(fs_err::write(self.folder().join("faults.json"), entries.to_string())?)
    }

    /// The folder of the resources.
    pub fn folder(&self) -> PathBuf {
        self.folder.join("cloud")
    }
}
