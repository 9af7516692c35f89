//! gofakes3, a third make of S3 server. It keeps everything in memory, and checks no signatures.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::go::Program;
use crate::server::{Ready, Server};

const PROGRAM: Program = Program {
    name: "gofakes3",
    module: "github.com/johannesboyne/gofakes3",
    version: "v1.2.0",
    sum: "h1:I9VEzPWvvAUAGzDlhYFoZjF0AXMlkcEyZlmBwiI6Oms=",
    package: "./cmd/gofakes3",
    flags: "",
};

/// A server with one bucket. It ends when this value is dropped.
pub struct Gofakes3 {
    server: Server,
}

/// Builds the program if this machine does not have it yet: its path.
pub fn install() -> Result<PathBuf> {
    PROGRAM.build()
}

impl Gofakes3 {
    /// Starts one with an empty bucket of this name.
    pub fn start(bucket: &str) -> Result<Self> {
        let mut command = Command::new(install()?);
        command.args(["-backend", "memory", "-host", "127.0.0.1:0", "-initialbucket", bucket, "-quiet"]);
        let port = |line: &str| Some(line.split_once("using port: ")?.1.trim().to_owned());
        Ok(Self { server: Server::start(command, Ready::Line(port))? })
    }

    /// `http://127.0.0.1:<port>`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.said())
    }
}
