//! OpenTofu, or Terraform: one stack of files, with a state in a bucket. Calls and typed answers; what is decided by them
//! is decided elsewhere.
//!
//! The program gets an environment made for it: what is not handed over here, it does not have. That holds back the
//! variables that change what a command does (`TF_CLI_ARGS`, `TF_WORKSPACE`) or what it logs (`TF_LOG`).

pub mod backend;
pub mod diagnostic;
pub mod event;
pub mod hcl;
pub mod plan;
pub mod state;

use std::ffi::OsString;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio_util::io::SyncIoBridge;

use super::cmd::Cmd;
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
    /// Which program it is.
    pub program: StackProgram,
    stack: Utf8PathBuf,
    env: Vec<(String, OsString)>,
    secrets: Vec<(String, SecretString)>,
}

impl Tofu {
    /// The stack in this folder.
    pub fn new(program: StackProgram, stack: Utf8PathBuf) -> Self {
        let quiet = [("TF_IN_AUTOMATION", "1"), ("TF_INPUT", "0"), ("CHECKPOINT_DISABLE", "1")];
        let env = quiet.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        Self { program, stack, env, secrets: Vec::new() }
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

    /// The program's name, as it is typed.
    pub fn name(&self) -> &'static str {
        name(self.program)
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
        Ok(SecretString::from(there.cmd().args(["state", "pull"]).capture_whole().await?))
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
        self.read(&self.cmd().args(["show", "-json", file.as_str()])).await.context("read the plan")
    }

    /// What was made and does not work, by its own word.
    pub async fn ailing(&self) -> Result<Vec<state::Ailing>> {
        let state: state::State = self.read(&self.cmd().args(["show", "-json"])).await.context("read the state")?;
        Ok(state.ailing())
    }

    /// Which version of its state there is now.
    pub async fn state_version(&self) -> Result<StateVersion> {
        self.read(&self.cmd().args(["state", "pull"])).await.context("read the state's version")
    }

    /// The outputs of what was applied last.
    pub async fn outputs(&self) -> Result<std::collections::BTreeMap<String, Output>> {
        self.read(&self.cmd().args(["output", "-json"])).await.context("read the stack's outputs")
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
        let mut cmd = Cmd::new(self.name()).dir(&self.stack).bare();
        for (name, value) in &self.env {
            cmd = cmd.env(name, value);
        }
        for (name, value) in &self.secrets {
            cmd = cmd.secret(name, value);
        }
        cmd
    }

    /// Reads an answer in JSON as it comes.
    async fn read<T: DeserializeOwned + Send + 'static>(&self, cmd: &Cmd) -> Result<T> {
        use std::io::Read as _;
        let bridge = SyncIoBridge::new(cmd.stream()?);
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

/// The version of the program on the `PATH`. Fails where there is none, or one that is too old: the state's lock in its
/// bucket came with 1.10 (Terraform: 1.11).
pub async fn version(program: StackProgram) -> Result<String> {
    #[derive(Deserialize)]
    struct Answer {
        terraform_version: String,
    }
    let name = name(program);
    // A configuration file that is named and missing makes it say so on the same stream.
    let cmd = Cmd::new(name).bare().env("CHECKPOINT_DISABLE", "1").args(["version", "-json"]);
    let Answer { terraform_version: version } =
        serde_json::from_str(&cmd.capture().await?).with_context(|| format!("read what `{name} version` says"))?;
    let oldest = match program {
        StackProgram::Tofu => (1, 10),
        StackProgram::Terraform => (1, 11),
    };
    let mut numbers = version.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let found = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    if found < oldest {
        bail!("{name} is {version}, and this takes {}.{} or newer", oldest.0, oldest.1);
    }
    Ok(version)
}
