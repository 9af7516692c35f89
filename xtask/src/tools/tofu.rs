//! OpenTofu, or Terraform: one stack of files, with a state in a bucket. Calls and typed answers; what is decided by them
//! is decided elsewhere.
//!
//! The program gets an environment made for it: what is not handed over here, it does not have. That holds back the
//! variables that change what a command does (`TF_CLI_ARGS`, `TF_WORKSPACE`) or what it logs (`TF_LOG`).

pub mod backend;
pub mod diagnostic;
pub mod event;
pub mod hcl;
pub mod install;
pub mod plan;
pub mod state;

use std::ffi::OsString;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio_util::io::SyncIoBridge;

use self::backend::Use;
use super::cmd::Cmd;
use super::platform;
use crate::config::StackProgram;

/// What states have in the clear: which of a state's versions it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
pub struct StateVersion {
    /// The same for as long as a state lives; empty where there is none yet.
    pub lineage: String,
    /// Grows with each change.
    pub serial: u64,
}

/// A stack, and the program that reads it.
#[derive(Clone)]
pub struct Tofu {
    program: Utf8PathBuf,
    stack: Utf8PathBuf,
    env: Vec<(String, OsString)>,
    secrets: Vec<(String, SecretString)>,
    passphrase: Option<SecretString>,
}

impl Tofu {
    /// The stack in this folder, and the program at this path.
    pub fn new(program: Utf8PathBuf, stack: Utf8PathBuf) -> Self {
        let quiet = [("TF_IN_AUTOMATION", "1"), ("TF_INPUT", "0"), ("CHECKPOINT_DISABLE", "1")];
        let env = quiet.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        Self { program, stack, env, secrets: Vec::new(), passphrase: None }
    }

    /// A variable of its environment.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// A secret variable of its environment.
    pub fn secret(mut self, name: impl Into<String>, value: SecretString) -> Self {
        self.secrets.push((name.into(), value));
        self
    }

    /// With what state and plans are encrypted.
    pub fn encrypted(self, passphrase: SecretString) -> Self {
        Self { passphrase: Some(passphrase), ..self }
    }

    /// Gets ready to work on the stack. What it says is a line of JSON each; see [`event::Event`].
    pub fn init(&self, backend: Option<&Utf8Path>, lock_file_stands: bool) -> Cmd {
        let cmd = self.cmd().args(["init", "-input=false", "-json"]);
        let cmd = match backend {
            Some(file) => cmd.arg("-reconfigure").arg(format!("-backend-config={file}")),
            None => cmd.arg("-backend=false"),
        };
        if lock_file_stands { cmd.arg("-lockfile=readonly") } else { cmd }
    }

    /// Finds out what would change and writes it to a file. Its exit code is 0 for nothing, 2 for something, else 1.
    pub fn plan(&self, file: &Utf8Path, destroy: bool) -> Cmd {
        let out = format!("-out={file}");
        let cmd = self.cmd().args(["plan", "-input=false", "-json", "-detailed-exitcode", &out]);
        if destroy { cmd.arg("-destroy") } else { cmd }
    }

    /// Does what such a file says.
    pub fn apply(&self, file: &Utf8Path) -> Cmd {
        self.cmd().args(["apply", "-input=false", "-json", file.as_str()])
    }

    /// Takes the state's lock away from its holder.
    pub async fn unlock(&self, id: &str) -> Result<()> {
        self.cmd().args(["force-unlock", "-force", "--", id]).run().await
    }

    /// The state that is in this folder as `terraform.tfstate`, as it was before it was encrypted.
    pub async fn state_in(&self, folder: &Utf8Path) -> Result<SecretString> {
        let there = Self { stack: folder.to_owned(), ..self.clone() };
        let there = there.env("TF_DATA_DIR", folder.join("data").as_str());
        Ok(SecretString::from(there.cmd_that(Use::Reads).args(["state", "pull"]).capture_whole().await?))
    }

    /// Makes this the state. The program reads no encrypted file here (1.12: `internal/command/state_push.go`), not even
    /// the one that it writes itself when it cannot save a state.
    pub async fn push(&self, state: &SecretString) -> Result<()> {
        let cmd = self.cmd().args(["state", "push", "-"]).input(state.expose_secret());
        let (status, _, stderr) = cmd.output().await?;
        if status.success() { Ok(()) } else { bail!("`{cmd}` failed: {status}. It said:\n{stderr}") }
    }

    /// What a plan says. The whole of it is never in memory: it holds every value of the stack, secret ones too, and for
    /// thousands of resources hundreds of megabytes.
    pub async fn show(&self, file: &Utf8Path) -> Result<plan::Plan> {
        self.read(&["show", "-json", file.as_str()]).await.context("read the plan")
    }

    /// What was made and does not work, by its own word.
    pub async fn ailing(&self) -> Result<Vec<state::Ailing>> {
        let state: state::State = self.read(&["show", "-json"]).await.context("read the state")?;
        Ok(state.ailing())
    }

    /// Which version of its state there is now.
    pub async fn state_version(&self) -> Result<StateVersion> {
        self.read(&["state", "pull"]).await.context("read the state's version")
    }

    /// The outputs of what was applied last.
    pub async fn outputs(&self) -> Result<std::collections::BTreeMap<String, Output>> {
        self.read(&["output", "-json"]).await.context("read the stack's outputs")
    }

    /// Whether the stack's files are sound; [`Tofu::init`] without a backend goes before.
    pub async fn validate(&self) -> Result<Vec<diagnostic::Diagnostic>> {
        #[derive(Deserialize)]
        struct Answer {
            diagnostics: Vec<diagnostic::Diagnostic>,
        }
        let (_, stdout, stderr) = self.cmd().args(["validate", "-json"]).output().await?;
        let answer: Answer =
            serde_json::from_str(&stdout).with_context(|| format!("read what `validate` says: {stdout}{stderr}"))?;
        Ok(answer.diagnostics)
    }

    fn cmd(&self) -> Cmd {
        self.cmd_that(Use::Writes)
    }

    fn cmd_that(&self, does: Use) -> Cmd {
        let mut cmd = Cmd::new(self.program.as_str()).dir(&self.stack).bare();
        if let Some(passphrase) = &self.passphrase {
            cmd = cmd.secret("TF_ENCRYPTION", &backend::encryption(passphrase, does));
        }
        for (name, value) in &self.env {
            cmd = cmd.env(name, value);
        }
        for (name, value) in &self.secrets {
            cmd = cmd.secret(name, value);
        }
        cmd
    }

    /// Reads an answer in JSON as it comes, from a command that changes nothing.
    async fn read<T: DeserializeOwned + Send + 'static>(&self, args: &[&str]) -> Result<T> {
        use std::io::Read as _;
        let bridge = SyncIoBridge::new(self.cmd_that(Use::Reads).args(args.iter().copied()).stream()?);
        let read = tokio::task::spawn_blocking(move || {
            let mut reader = std::io::BufReader::with_capacity(1 << 16, bridge);
            let read = serde_json::from_reader(&mut reader);
            // To its end: a program that fails says so there, and is the better reason for an answer that breaks off.
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest)?;
            Ok(read?)
        });
        read.await.context("wait for what reads the answer")?
    }
}

/// An output of a stack.
#[derive(Clone, Debug, Deserialize)]
pub struct Output {
    /// Whether its value is not to be shown.
    pub sensitive: bool,
    /// Its value.
    pub value: serde_json::Value,
}

/// The program's name, as it is typed.
pub fn name(program: StackProgram) -> &'static str {
    match program {
        StackProgram::Tofu => "tofu",
        StackProgram::Terraform => "terraform",
    }
}

/// A program that is good enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub program: Utf8PathBuf,
    /// Its version.
    pub version: String,
}

/// Finds the program: the one on the `PATH`, else the one in the toolkit's cache. Fails where there is none, or none that is
/// new enough: the state's lock in its bucket came with 1.10 (Terraform: 1.11). It is asked for its version, which takes a
/// tenth of a second.
pub async fn find(program: StackProgram) -> Result<Found> {
    let (name, oldest) = match program {
        StackProgram::Tofu => ("tofu", (1, 10)),
        StackProgram::Terraform => ("terraform", (1, 11)),
    };
    let mut unfit = Vec::new();
    for candidate in candidates(program)? {
        match version_of(&candidate).await {
            Ok(version) if numbers(&version) >= oldest => return Ok(Found { program: candidate, version }),
            Ok(version) => {
                unfit.push(format!("{candidate} is {version}, and this takes {}.{} or newer", oldest.0, oldest.1))
            }
            Err(error) => unfit.push(format!("{error:#}")),
        }
    }
    if unfit.is_empty() {
        bail!("there is no {name} on the PATH");
    }
    bail!(unfit.join("; "))
}

/// The programs of this name that are on this machine, the one to take first.
pub fn candidates(program: StackProgram) -> Result<Vec<Utf8PathBuf>> {
    let mut candidates: Vec<Utf8PathBuf> = platform::find_program(name(program)).into_iter().collect();
    if program == StackProgram::Tofu {
        // Root's is for everybody.
        for cache in [platform::cache_folder()?, Utf8Path::new(platform::SYSTEM_CACHE).join("xtask")] {
            candidates.push(install::place(&cache));
        }
    }
    candidates.retain(|file| platform::is_executable(file));
    candidates.dedup();
    Ok(candidates)
}

/// The version that a program says it is: `1.12.6`, `1.12.6-dev`.
async fn version_of(program: &Utf8Path) -> Result<String> {
    #[derive(Deserialize)]
    struct Answer {
        terraform_version: String,
    }
    // A configuration file that is named and missing makes it say so on the same stream.
    let cmd = Cmd::new(program.as_str()).bare().env("CHECKPOINT_DISABLE", "1").args(["version", "-json"]);
    let said = cmd.capture().await?;
    let answer: Answer = serde_json::from_str(&said).with_context(|| format!("read what `{cmd}` says"))?;
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

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(numbers("1.12.6-dev") > numbers("1.9.4") && numbers("1.10.0") == (1, 10));
        assert_eq!(numbers("what?"), (0, 0));
    }
}
