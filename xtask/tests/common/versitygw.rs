//! An S3 server for tests that checks signatures and refuses second conditional writes. Nobody packages it.

use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
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
}

impl Versitygw {
    /// Starts one. Fails with what this machine lacks.
    pub fn start() -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut server = Self { program: go::program(&PROGRAM)?, port: free_port(), process: None, folder };
        server.go_on();
        Ok(server)
    }

    /// Its address.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A bucket's folder, made where it is missing.
    pub fn bucket(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        fs_err::create_dir_all(&folder).unwrap();
        folder
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
        command.args(["--quiet", "--region", REGION, "--port", &format!("127.0.0.1:{}", self.port), "posix"]);
        command.arg(self.folder.path()).env("ROOT_ACCESS_KEY", ACCESS_KEY).env("ROOT_SECRET_KEY", SECRET_KEY);
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
