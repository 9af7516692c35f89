//! The media service's own program, with a database and folders that are gone with it.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use devservers::http::{Answer, ask};
use devservers::{Ready, Server};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bench::scratch::{Scratch, free_port};
use xtask::tools::postgres::{Choice, Client, Throwaway};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// How long it may take to be ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// A service that only the measurement uses. Fields are dropped in this order: the database last.
pub struct Media {
    server: Server,
    /// `127.0.0.1:<port>`.
    pub address: String,
    /// Of the first account.
    pub token: String,
    /// How long it took from the start of the process until it was ready, with a migrated database.
    pub until_ready: Duration,
    /// Where it keeps its files.
    pub folder: TempDir,
    settings: Vec<(&'static str, String)>,
    database: Throwaway,
}

impl Media {
    /// Builds the release that is checked out, and starts it; it accepts uploads of up to 64 MB. `own` are more
    /// of its settings.
    pub async fn start(scratch: &Scratch, own: &[(&'static str, String)]) -> Result<Self> {
        let build = scratch.cargo().args(["build", "--release", "--package", &scratch.config.service.package]);
        build.run().await.context("build the service")?;
        let (database, folder) = (Throwaway::start(Choice::Auto).await?, tempfile::tempdir()?);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut settings = vec![
            ("DATABASE_URL", database.server().url("postgres").expose_secret().to_owned()),
            ("UPLOAD_DIR", folder.path().display().to_string()),
            ("PORT", address.port().to_string()),
            ("JWT_SECRET", SECRET.to_owned()),
            ("BOOTSTRAP_TOKEN", SECRET.to_owned()),
            ("SERVICE_VERSION", "measured".to_owned()),
            ("MAX_UPLOAD_BYTES", (64 << 20).to_string()),
            ("LOG_LEVEL", "warn".to_owned()),
        ];
        settings.extend_from_slice(own);
        // With a bucket there is no such folder.
        let has_bucket = own.iter().any(|(name, _)| *name == "STORAGE_BACKEND");
        settings.retain(|(name, _)| *name != "UPLOAD_DIR" || !has_bucket);
        let command = |argument: &str| {
            let mut command = Command::new(scratch.program());
            command.arg(argument).env_clear().envs(settings.iter().cloned());
            command
        };
        let migrated = command("migrate").output().context("migrate the database")?;
        ensure!(migrated.status.success(), "migrate: {}", String::from_utf8_lossy(&migrated.stderr));
        let began = Instant::now();
        let server = Server::start(command("serve"), Ready::Port(address))?;
        let address = address.to_string();
        while ask(&address, "GET", &scratch.config.service.readiness, &[], "").ok().is_none_or(|it| it.status != 200) {
            ensure!(began.elapsed() < PATIENCE, "the service is not ready after {PATIENCE:?}: {:?}", server.lines());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let until_ready = began.elapsed();
        let account = json!({ "username": "measured", "password": SECRET, "bootstrap_token": SECRET }).to_string();
        let headers = [("content-type", "application/json")];
        let registered = ask(&address, "POST", "/api/auth/register", &headers, account)?;
        let token = json(&registered)?["token"].as_str().context("the account has a token")?.to_owned();
        Ok(Self { server, address, token, until_ready, folder, settings, database })
    }

    /// Registers another account: its token.
    pub fn account(&self, username: &str) -> Result<String> {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let invite = json(&ask(&self.address, "POST", "/api/invites", &headers, "{}")?)?;
        let account = json!({ "username": username, "password": SECRET, "invite": invite["token"] }).to_string();
        let registered = json(&ask(&self.address, "POST", "/api/auth/register", &headers[1..], account)?)?;
        Ok(registered["token"].as_str().context("the account has a token")?.to_owned())
    }

    /// Adds a file: its media.
    pub fn upload(&self, bytes: &[u8]) -> Result<Value> {
        json(&upload(&self.address, &self.token, bytes)?)
    }

    /// Posts JSON for the first account: the answer.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        json(&ask(&self.address, "POST", path, &headers, body.to_string())?)
    }

    /// Starts a process that does its jobs on one processor, and waits until it does.
    pub fn worker(&self, scratch: &Scratch, processor: usize) -> Result<Server> {
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", &processor.to_string()]).arg(scratch.program()).arg("worker");
        command.env_clear().envs(self.settings.iter().cloned()).env("LOG_LEVEL", "info");
        Server::start(command, Ready::Line(|line| line.contains("working").then(String::new)))
    }

    /// Runs statements on its database.
    pub async fn sql(&self, statements: &str) -> Result<()> {
        self.client().await?.batch_execute(statements).await.context("change the database")
    }

    /// A connection to its database.
    pub async fn client(&self) -> Result<Client> {
        self.database.server().client("postgres").await
    }

    /// Resident memory of the service, in bytes, without the processes that it started.
    pub fn memory(&self) -> Result<u64> {
        self.of_status("VmRSS:")
    }

    /// What of it is no part of a file, such as the program, of which the system may forget what it needs room for.
    pub fn own_memory(&self) -> Result<u64> {
        self.of_status("RssAnon:")
    }

    fn of_status(&self, line: &str) -> Result<u64> {
        let status = fs_err::read_to_string(format!("/proc/{}/status", self.server.pid()))?;
        let found = status.lines().find_map(|text| text.strip_prefix(line)?.split_whitespace().next());
        Ok(found.and_then(|kib| kib.parse::<u64>().ok()).context("read the memory of the service")? << 10)
    }
}

/// Sends an upload to a service.
pub fn upload(address: &str, token: &str, bytes: &[u8]) -> std::io::Result<Answer> {
    let head = b"--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\n\r\n".as_slice();
    let body = [head, bytes, b"\r\n--edge--\r\n"].concat();
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "multipart/form-data; boundary=edge")];
    ask(address, "POST", "/api/media", &headers, body)
}

fn json(answer: &Answer) -> Result<Value> {
    ensure!((200..300).contains(&answer.status), "{}: {}", answer.status, answer.text());
    serde_json::from_str(&answer.text()).context("read the answer of the service")
}
