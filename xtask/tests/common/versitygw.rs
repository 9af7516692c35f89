//! An S3 server for tests that checks signatures and refuses second conditional writes. Nobody packages it.

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::go;
use crate::common::project::free_port;
use crate::common::until;

const PROGRAM: go::Program = go::Program {
    name: "versitygw",
    module: "github.com/versity/versitygw",
    version: "v1.8.0",
    package: "github.com/versity/versitygw/cmd/versitygw",
    flags: "",
};

/// Whom it lets in.
pub const ACCESS_KEY: &str = "AKTEST";
/// With this.
pub const SECRET_KEY: &str = "sentinel-storage-key";
/// The only region it has.
pub const REGION: &str = "us-east-1";

/// A server whose buckets are folders. It ends with this value.
pub struct Versitygw {
    program: PathBuf,
    port: u16,
    process: Option<Child>,
    folder: tempfile::TempDir,
    /// Its certificate and key, where it speaks TLS.
    tls: Option<(PathBuf, PathBuf)>,
}

impl Versitygw {
    /// Starts one. Fails with what this machine lacks.
    pub fn start() -> Result<Self, String> {
        Self::start_with(None)
    }

    /// Starts one that speaks TLS, by this certificate and this key.
    pub fn secure(certificate: &Path, key: &Path) -> Result<Self, String> {
        Self::start_with(Some((certificate.to_owned(), key.to_owned())))
    }

    fn start_with(tls: Option<(PathBuf, PathBuf)>) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        for name in ["buckets", "versions"] {
            fs_err::create_dir(folder.path().join(name)).map_err(|error| error.to_string())?;
        }
        let mut server = Self { program: go::program(&PROGRAM)?, port: free_port(), process: None, folder, tls };
        server.go_on();
        Ok(server)
    }

    /// Its address.
    pub fn endpoint(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// A bucket's folder, made where it is missing.
    pub fn bucket(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join("buckets").join(name);
        fs_err::create_dir_all(&folder).unwrap();
        folder
    }

    /// What it keeps of a bucket beside its objects, under this name; empty if there is nothing.
    pub fn attribute(&self, bucket: &str, name: &str) -> String {
        let mut value = vec![0; 65_536];
        let length =
            rustix::fs::getxattr(self.bucket(bucket), format!("user.{name}"), &mut value[..]).unwrap_or_default();
        String::from_utf8(value[..length].to_vec()).unwrap()
    }

    /// Sets that by hand.
    pub fn set_attribute(&self, bucket: &str, name: &str, value: &[u8]) {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(self.bucket(bucket), format!("user.{name}"), value, flags).unwrap();
    }

    /// Ends it; what it holds stays.
    pub fn pause(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts it again, at the same address.
    pub fn go_on(&mut self) {
        let mut command = Command::new(&self.program);
        command.args(["--quiet", "--region", REGION, "--port", &format!("127.0.0.1:{}", self.port)]);
        if let Some((certificate, key)) = &self.tls {
            command.arg("--cert").arg(certificate).arg("--key").arg(key);
        }
        command.args(["posix", "--versioning-dir"]).arg(self.folder.path().join("versions"));
        command
            .arg(self.folder.path().join("buckets"))
            .env("ROOT_ACCESS_KEY", ACCESS_KEY)
            .env("ROOT_SECRET_KEY", SECRET_KEY);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.process = Some(process);
        until("the S3 server listens", || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok());
    }
}

impl Drop for Versitygw {
    fn drop(&mut self) {
        self.pause();
    }
}
