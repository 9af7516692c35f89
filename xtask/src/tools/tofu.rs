//! OpenTofu or Terraform, run on a stack whose state is in a bucket.
//!
//! The program does not inherit this process's environment, only what is passed here. Otherwise the user's variables could
//! change what a command does (`TF_CLI_ARGS`, `TF_WORKSPACE`) or log secrets (`TF_LOG`).

pub mod backend;
pub mod diagnostic;
pub mod event;
pub mod hcl;
pub mod install;
pub mod plan;
pub mod state;

use std::ffi::OsString;

use anyhow::{Context as _, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio_util::io::SyncIoBridge;

use self::backend::Use;
use super::cmd::{Cmd, Inherited};
use super::platform;
use crate::config::StackProgram;

/// The longest JSON that is read of a plan or a state, in bytes. With thousands of resources they have hundreds of megabytes.
const MAX_JSON: u64 = 2 << 30;

/// The version of a state. It is not encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
pub struct StateVersion {
    /// Stays the same for the lifetime of a state; empty if there is none yet.
    pub lineage: String,
    /// Increases with each change.
    pub serial: u64,
}

/// The program, with its environment and a stack.
#[derive(Clone)]
pub struct Tofu {
    program: Utf8PathBuf,
    stack: Utf8PathBuf,
    env: Vec<(String, OsString)>,
    secrets: Vec<(String, SecretString)>,
    passphrase: Option<SecretString>,
}

impl Tofu {
    /// Runs the program at this path on the stack in this folder.
    pub fn new(program: Utf8PathBuf, stack: Utf8PathBuf) -> Self {
        let quiet = [("TF_IN_AUTOMATION", "1"), ("TF_INPUT", "0"), ("CHECKPOINT_DISABLE", "1")];
        let env = quiet.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        Self { program, stack, env, secrets: Vec::new(), passphrase: None }
    }

    /// Adds an environment variable.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Adds an environment variable that is secret.
    pub fn secret(mut self, name: impl Into<String>, value: SecretString) -> Self {
        self.secrets.push((name.into(), value));
        self
    }

    /// Encrypts state and plans with this passphrase.
    pub fn encrypted(self, passphrase: SecretString) -> Self {
        Self { passphrase: Some(passphrase), ..self }
    }

    /// `init`, with the backend settings in this file or without a backend. `lock_file`: only accept the providers that the
    /// dependency lock file names. Prints events, see [`event::Event`].
    pub fn init(&self, backend: Option<&Utf8Path>, lock_file: bool) -> Cmd {
        let cmd = self.cmd().args(["init", "-input=false", "-json"]);
        let cmd = match backend {
            Some(file) => cmd.arg("-reconfigure").arg(format!("-backend-config={file}")),
            None => cmd.arg("-backend=false"),
        };
        if lock_file { cmd.arg("-lockfile=readonly") } else { cmd }
    }

    /// `plan`, into this file. Exits with 0 when nothing would change, with 2 when something would.
    pub fn plan(&self, file: &Utf8Path, destroy: bool) -> Cmd {
        let out = format!("-out={file}");
        let cmd = self.cmd().args(["plan", "-input=false", "-json", "-detailed-exitcode", &out]);
        if destroy { cmd.arg("-destroy") } else { cmd }
    }

    /// `plan` of what was changed outside of OpenTofu since the last apply, into this file if there is one. Exits like
    /// [`Tofu::plan`]. It reads the state, whoever holds its lock.
    pub fn refresh_only(&self, file: Option<&Utf8Path>) -> Cmd {
        let state = if file.is_some() { Use::Writes } else { Use::Reads };
        let args = ["plan", "-refresh-only", "-lock=false", "-input=false", "-json", "-detailed-exitcode"];
        let cmd = self.cmd_for(state).args(args);
        match file {
            Some(file) => cmd.arg(format!("-out={file}")),
            None => cmd,
        }
    }

    /// `apply` of a plan file.
    pub fn apply(&self, file: &Utf8Path) -> Cmd {
        self.cmd().args(["apply", "-input=false", "-json", file.as_str()])
    }

    /// Removes the state's lock.
    pub async fn unlock(&self, id: &str) -> Result<()> {
        self.cmd().args(["force-unlock", "-force", "--", id]).run().await
    }

    /// Decrypts the state in this folder's `terraform.tfstate`.
    pub async fn state_in(&self, folder: &Utf8Path) -> Result<SecretString> {
        let there = Self { stack: folder.to_owned(), ..self.clone() };
        let there = there.env("TF_DATA_DIR", folder.join("data").as_str());
        Ok(SecretString::from(there.cmd_for(Use::Reads).args(["state", "pull"]).capture_whole().await?))
    }

    /// Replaces the state with this decrypted one. OpenTofu does not accept an encrypted file here, not even the one that it
    /// writes when it cannot save a state (1.12: `internal/command/state_push.go`).
    pub async fn push(&self, state: &SecretString) -> Result<()> {
        let cmd = self.cmd().args(["state", "push", "-"]).input(state.expose_secret());
        let (status, _, stderr) = cmd.output().await?;
        if status.success() { Ok(()) } else { bail!("`{cmd}` failed: {status}. Its output:\n{stderr}") }
    }

    /// Reads a plan file as a stream: as JSON it has every value of the stack, secrets among them, and with thousands of
    /// resources hundreds of megabytes.
    pub async fn show(&self, file: &Utf8Path) -> Result<plan::Plan> {
        self.read(&["show", "-json", file.as_str()]).await.context("read the plan")
    }

    /// The resources of the state.
    pub async fn state(&self) -> Result<state::State> {
        self.read(&["show", "-json"]).await.context("read the state")
    }

    /// The state's current version.
    pub async fn state_version(&self) -> Result<StateVersion> {
        self.read(&["state", "pull"]).await.context("read the state's version")
    }

    /// The outputs of the last apply.
    pub async fn outputs(&self) -> Result<std::collections::BTreeMap<String, Output>> {
        self.read(&["output", "-json"]).await.context("read the stack's outputs")
    }

    /// Errors and warnings in the stack's files. Needs an [`Tofu::init`], without a backend.
    pub async fn validate(&self) -> Result<Vec<diagnostic::Diagnostic>> {
        #[derive(Deserialize)]
        struct Answer {
            diagnostics: Vec<diagnostic::Diagnostic>,
        }
        let (_, stdout, stderr) = self.cmd().args(["validate", "-json"]).output().await?;
        let answer: Answer = serde_json::from_str(&stdout)
            .with_context(|| format!("read the answer of `validate`: {stdout}{stderr}"))?;
        Ok(answer.diagnostics)
    }

    fn cmd(&self) -> Cmd {
        self.cmd_for(Use::Writes)
    }

    fn cmd_for(&self, state: Use) -> Cmd {
        let mut cmd = Cmd::new(self.program.as_str()).dir(&self.stack).inherits(Inherited::Path);
        if let Some(passphrase) = &self.passphrase {
            cmd = cmd.secret("TF_ENCRYPTION", &backend::encryption(passphrase, state));
        }
        for (name, value) in &self.env {
            cmd = cmd.env(name, value);
        }
        for (name, value) in &self.secrets {
            cmd = cmd.secret(name, value);
        }
        cmd
    }

    /// Reads the JSON that a command prints, as a stream. The command only reads the state.
    async fn read<T: DeserializeOwned + Send + 'static>(&self, args: &[&str]) -> Result<T> {
        read_json(self.cmd_for(Use::Reads).args(args.iter().copied()), MAX_JSON).await
    }
}

async fn read_json<T: DeserializeOwned + Send + 'static>(cmd: Cmd, longest: u64) -> Result<T> {
    use std::io::Read as _;
    let bridge = SyncIoBridge::new(cmd.stream()?);
    let read = tokio::task::spawn_blocking(move || {
        let mut reader = std::io::BufReader::with_capacity(1 << 16, bridge).take(longest);
        let read = serde_json::from_reader(&mut reader);
        // To the end: the error of a failed program is reported there, and explains incomplete JSON.
        std::io::copy(&mut reader, &mut std::io::sink())?;
        ensure!(reader.limit() > 0, "`{cmd}` printed more than {longest} bytes");
        Ok(read?)
    });
    read.await.context("wait for the thread that reads the answer")?
}

/// An output of a stack.
#[derive(Clone, Debug, Deserialize)]
pub struct Output {
    /// Whether its value is secret.
    pub sensitive: bool,
    /// Its value.
    pub value: serde_json::Value,
}

/// The program's name.
pub fn name(program: StackProgram) -> &'static str {
    match program {
        StackProgram::Tofu => "tofu",
        StackProgram::Terraform => "terraform",
    }
}

/// A program that is recent enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its path.
    pub program: Utf8PathBuf,
    /// Its version.
    pub version: String,
}

/// Finds the program: on the `PATH`, else in the toolkit's cache. Fails if there is none that can lock a state in its bucket,
/// as OpenTofu 1.10 and Terraform 1.11 can. Running it for its version takes 0.1 s.
pub async fn find(program: StackProgram) -> Result<Found> {
    let (name, oldest) = match program {
        StackProgram::Tofu => ("tofu", (1, 10)),
        StackProgram::Terraform => ("terraform", (1, 11)),
    };
    let mut rejected = Vec::new();
    for candidate in candidates(program)? {
        match version_of(&candidate).await {
            Ok(version) if numbers(&version) >= oldest => return Ok(Found { program: candidate, version }),
            Ok(version) => {
                rejected.push(format!("{candidate} is {version}; required is {}.{} or newer", oldest.0, oldest.1))
            }
            Err(error) => rejected.push(format!("{error:#}")),
        }
    }
    if rejected.is_empty() {
        bail!("there is no {name} on the PATH");
    }
    bail!(rejected.join("; "))
}

/// Programs of this name on this machine, in the order in which they are tried.
pub fn candidates(program: StackProgram) -> Result<Vec<Utf8PathBuf>> {
    let mut candidates: Vec<Utf8PathBuf> = platform::find_program(name(program)).into_iter().collect();
    if program == StackProgram::Tofu {
        // What root installed is for every user.
        for cache in [platform::cache_folder()?, Utf8Path::new(platform::SYSTEM_CACHE).join("xtask")] {
            candidates.push(install::place(&cache));
        }
    }
    candidates.retain(|file| platform::is_executable(file));
    candidates.dedup();
    Ok(candidates)
}

/// A program's version: `1.12.6`, `1.12.6-dev`.
async fn version_of(program: &Utf8Path) -> Result<String> {
    #[derive(Deserialize)]
    struct Answer {
        terraform_version: String,
    }
    // Without TF_CLI_CONFIG_FILE: the complaint about a missing file would be on the same stream.
    let cmd = Cmd::new(program.as_str())
        .inherits(Inherited::Path)
        .dir("/")
        .env("CHECKPOINT_DISABLE", "1")
        .args(["version", "-json"]);
    let output = cmd.capture().await?;
    let answer: Answer = serde_json::from_str(&output).with_context(|| format!("read the answer of `{cmd}`"))?;
    Ok(answer.terraform_version)
}

/// The first two numbers of a version.
fn numbers(version: &str) -> (u32, u32) {
    let mut numbers = version.split(['.', '-']).map_while(|part| part.parse().ok());
    (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_without_end_is_not_read_to_its_end() {
        for endless in ["printf '['; yes '1,'", "printf '{}'; yes"] {
            let cmd = Cmd::new("sh").args(["-c", endless]);
            let error = read_json::<serde::de::IgnoredAny>(cmd, 1 << 20).await.unwrap_err().to_string();
            assert!(error.contains("printed more than 1048576 bytes"), "{error}");
        }
        let failed = Cmd::new("sh").args(["-c", "printf '{'; echo no such plan >&2; exit 3"]);
        let error = read_json::<serde::de::IgnoredAny>(failed, 1 << 20).await.unwrap_err().to_string();
        assert!(error.contains("no such plan"), "{error}");
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(numbers("1.12.6-dev") > numbers("1.9.4") && numbers("1.10.0") == (1, 10));
        assert_eq!(numbers("what?"), (0, 0));
    }
}
