//! versitygw, an S3 server that checks signatures and refuses the second of two conditional writes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::go::Program;
use crate::port;
use crate::server::{Ready, Server};

const PROGRAM: Program = Program {
    name: "versitygw",
    module: "github.com/versity/versitygw",
    version: "v1.8.0",
    sum: "h1:au+wI+aybno/STsQiSm35Uu6Q6iK5MWReQxgO6SEMFc=",
    package: "./cmd/versitygw",
    flags: "",
};

/// The access key of its only user.
pub const ACCESS_KEY: &str = "AKTEST";
/// That user's secret key.
pub const SECRET_KEY: &str = "sentinel-storage-key";
/// Its only region, unless it was started in another one.
pub const REGION: &str = "us-east-1";

/// A server whose buckets are folders. It ends, and its buckets go, when this value is dropped.
pub struct Versitygw {
    server: Server,
    endpoint: String,
    folder: tempfile::TempDir,
}

/// Builds the program if this machine does not have it yet: its path.
pub fn install() -> Result<PathBuf> {
    PROGRAM.build()
}

impl Versitygw {
    /// Starts one that speaks HTTP.
    pub fn start() -> Result<Self> {
        Self::start_with(REGION, SECRET_KEY, None)
    }

    /// The same in another region than [`REGION`], with another secret key than [`SECRET_KEY`].
    pub fn start_in(region: &str, secret: &str) -> Result<Self> {
        Self::start_with(region, secret, None)
    }

    /// Starts one that speaks HTTPS with this certificate and key, both PEM files.
    pub fn start_secure(certificate: &Path, key: &Path) -> Result<Self> {
        Self::start_with(REGION, SECRET_KEY, Some((certificate, key)))
    }

    fn start_with(region: &str, secret: &str, tls: Option<(&Path, &Path)>) -> Result<Self> {
        let folder = tempfile::tempdir().context("make a folder for an S3 server")?;
        let [buckets, versions] = ["buckets", "versions"].map(|name| folder.path().join(name));
        fs_err::create_dir(&buckets)?;
        fs_err::create_dir(&versions)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port::free()));
        let mut command = Command::new(install()?);
        command.args(["--quiet", "--region", region, "--port", &address.to_string()]);
        if let Some((certificate, key)) = tls {
            command.arg("--cert").arg(certificate).arg("--key").arg(key);
        }
        command.args(["posix", "--versioning-dir"]).arg(versions).arg(buckets);
        command.env("ROOT_ACCESS_KEY", ACCESS_KEY).env("ROOT_SECRET_KEY", secret);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let server = Server::start(command, Ready::Port(address))?;
        Ok(Self { server, endpoint: format!("{scheme}://{address}"), folder })
    }

    /// `http://127.0.0.1:<port>`, or `https`.
    pub fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// A bucket's folder; makes the bucket if it is missing.
    pub fn bucket(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join("buckets").join(name);
        fs_err::create_dir_all(&folder).unwrap();
        folder
    }

    /// An attribute in which the server keeps a setting of a bucket; empty if there is none.
    pub fn attribute(&self, bucket: &str, name: &str) -> String {
        let mut value = vec![0; 65_536];
        let length =
            rustix::fs::getxattr(self.bucket(bucket), format!("user.{name}"), &mut value[..]).unwrap_or_default();
        String::from_utf8(value[..length].to_vec()).unwrap()
    }

    /// Changes such an attribute behind the server's back.
    pub fn set_attribute(&self, bucket: &str, name: &str, value: &[u8]) {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(self.bucket(bucket), format!("user.{name}"), value, flags).unwrap();
    }

    /// Kills the server; its buckets stay.
    pub fn pause(&mut self) {
        self.server.kill();
    }

    /// Starts it again at the same address.
    pub fn go_on(&mut self) -> Result<()> {
        self.server.restart()
    }
}
