//! moto: S3 with all of its settings, Route 53, SQS and IAM, as Amazon's services answer. It does not check signatures.

mod uploads;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::{Context as _, Result, anyhow, ensure};

pub use self::uploads::{BUCKET, REGION, Uploads};
use crate::server::{Ready, Server};
use crate::{http, pip};

/// Its packages, by version and hash.
const PACKAGES: &str = include_str!("../moto.txt");

/// Starts moto's server, with what it lacks.
const PROGRAM: &str = include_str!("moto.py");

/// A server that keeps everything in memory. It ends when this value is dropped.
pub struct Moto {
    server: Server,
    /// What every path begins with, without a `/` at the end.
    path: String,
}

/// The use of a server that all tests of a program share, by one test at a time.
pub struct Turn {
    moto: &'static Moto,
    _turn: MutexGuard<'static, ()>,
}

/// Installs moto's Python packages if this machine does not have them yet: their folder, for `PYTHONPATH`.
pub fn install() -> Result<PathBuf> {
    pip::install_locked("moto", PACKAGES)
}

/// Python with moto's packages, botocore among them, to run this program.
pub fn python(program: &str) -> Result<Command> {
    let mut command = Command::new(pip::python()?);
    command.args(["-c", program]).env("PYTHONPATH", install()?);
    Ok(command)
}

impl Moto {
    /// Starts one that holds nothing yet. Needs Python, and the first time pip.
    pub fn start() -> Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST, "")
    }

    /// The same, at this address of this machine, and only below `/<secret>`: no other user knows that.
    pub fn start_secret(host: Ipv4Addr, secret: &str) -> Result<Self> {
        Self::start_at(host, secret)
    }

    /// Waits until no other test of this program uses the shared server, and empties it. The first call starts it. A test
    /// that takes a second turn before it has dropped the first one waits forever.
    pub fn turn() -> Result<Turn> {
        static TURN: Mutex<()> = Mutex::new(());
        static SHARED: OnceLock<Result<Moto, String>> = OnceLock::new();
        // A test that failed has left nothing that the next one sees.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = SHARED.get_or_init(|| Self::start().map_err(|error| format!("{error:#}")));
        let moto = shared.as_ref().map_err(|error| anyhow!("{error}"))?;
        let answer = http::ask(&moto.endpoint(), "POST", "/moto-api/reset", &[], b"").context("empty moto")?;
        ensure!(answer.status == 200, "empty moto: {}", answer.text());
        Ok(Turn { moto, _turn: turn })
    }

    /// The address of all its services: `http://<host>:<port>`, with the secret path if it has one.
    pub fn endpoint(&self) -> String {
        self.server.said() + &self.path
    }

    fn start_at(host: Ipv4Addr, secret: &str) -> Result<Self> {
        let mut command = python(PROGRAM)?;
        command.env("PYTHONUNBUFFERED", "1").env("MOTO_HOST", host.to_string()).env("MOTO_PATH", secret);
        let address = |line: &str| Some(line.split_once("Running on ")?.1.trim().to_owned());
        let path = if secret.is_empty() { String::new() } else { format!("/{secret}") };
        Ok(Self { server: Server::start(command, Ready::Line(address))?, path })
    }
}

impl std::ops::Deref for Turn {
    type Target = Moto;

    fn deref(&self) -> &Moto {
        self.moto
    }
}
