//! Starts the stand-in for a test and runs OpenTofu on it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::tofu;

/// A running stand-in. Dropping it stops the process.
pub struct TestProvider {
    process: Child,
    stdout: BufReader<ChildStdout>,
    /// The value of `TF_REATTACH_PROVIDERS`.
    pub addresses: String,
    folder: TempDir,
    /// The variables that configure its backends.
    variables: Vec<(&'static str, String)>,
}

pub struct RunResult {
    pub code: i32,
    /// Standard output and standard error.
    pub output: String,
    pub stdout: String,
}

impl TestProvider {
    /// Serves all providers on an empty state. Skips the test if this machine has no OpenTofu.
    pub fn new() -> Option<Self> {
        Self::with(&[])
    }

    /// As [`TestProvider::new`], with variables that configure backends.
    pub fn with(variables: &[(&'static str, String)]) -> Option<Self> {
        require_tofu()?;
        Some(Self::start(tempfile::tempdir().unwrap(), variables.to_vec()))
    }

    /// Stops the process and starts another on the same state.
    pub fn restart(mut self) -> Self {
        self.stop();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        Self::start(folder, std::mem::take(&mut self.variables))
    }

    fn start(folder: TempDir, variables: Vec<(&'static str, String)>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_standin"));
        for provider in ["scaleway", "aws", "cloudflare", "supabase"] {
            command.arg("--schema").arg(schema_file(&format!("{provider}.json")));
            command.arg("--rules").arg(schema_file(&format!("{provider}.standin.json")));
        }
        command.arg("--rules").arg(schema_file("scaleway.rules.json"));
        command.arg("--state").arg(folder.path().join("state"));
        command.envs(variables.iter().cloned());
        // It exits when this process does, because the pipe is then closed.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut addresses = String::new();
        stdout.read_line(&mut addresses).unwrap();
        if addresses.is_empty() {
            let mut error = String::new();
            process.stderr.take().unwrap().read_to_string(&mut error).unwrap();
            panic!("the stand-in exited: {error}");
        }
        fs_err::write(
            folder.path().join("tofurc"),
            "provider_installation {\n  direct {\n    exclude = [\"*/*\"]\n  }\n}\n",
        )
        .unwrap();
        Self { process, stdout, addresses, folder, variables }
    }

    /// The stored resources of a type: files and contents.
    pub fn stored(&self, name: &str) -> Vec<(PathBuf, Value)> {
        let Ok(entries) = fs_err::read_dir(self.state().join(name)) else { return Vec::new() };
        let files = entries.map(|entry| entry.unwrap().path());
        files.map(|file| (file.clone(), serde_json::from_slice(&fs_err::read(&file).unwrap()).unwrap())).collect()
    }

    pub fn inject_faults(&self, entries: &Value) {
        fs_err::write(self.state().join("faults.json"), entries.to_string()).unwrap();
    }

    /// The folder of the stored resources.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// A new, initialised stack with this configuration.
    pub fn stack(&self, text: &str) -> Stack<'_> {
        let stack = self.stack_without_init(text);
        let result = stack.run(&["init", "-input=false"]);
        assert_eq!(result.code, 0, "{}", result.output);
        stack
    }

    pub fn stack_without_init(&self, text: &str) -> Stack<'_> {
        let stack = Stack { provider: self, folder: tempfile::tempdir_in(self.folder.path()).unwrap() };
        stack.write(text);
        stack
    }

    /// An existing stack.
    pub fn stack_at(&self, folder: TempDir) -> Stack<'_> {
        Stack { provider: self, folder }
    }

    /// Kills the process and returns its output.
    pub fn stop(&mut self) -> String {
        self.process.kill().ok();
        self.process.wait().unwrap();
        let mut output = String::new();
        self.stdout.read_to_string(&mut output).unwrap();
        if let Some(mut stderr) = self.process.stderr.take() {
            stderr.read_to_string(&mut output).unwrap();
        }
        output
    }

    pub fn close_stdin(&mut self) {
        self.process.stdin.take();
    }

    /// Waits until the process exits, and returns its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        let stdin = self.process.stdin.take();
        let code = self.process.wait().unwrap().code();
        drop(stdin);
        code
    }
}

impl Drop for TestProvider {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
        if self.variables.iter().any(|(name, _)| *name == "STANDIN_DOCKER") {
            super::docker::remove_containers(&self.state());
        }
    }
}

/// A folder with a configuration.
pub struct Stack<'a> {
    provider: &'a TestProvider,
    folder: TempDir,
}

impl Stack<'_> {
    /// Writes the configuration, with `required_providers` added.
    pub fn write(&self, text: &str) {
        let providers = ["scaleway/scaleway", "hashicorp/aws", "cloudflare/cloudflare", "supabase/supabase"];
        let required = providers.map(|source| {
            let name = source.rsplit('/').next().unwrap();
            format!("    {name} = {{ source = \"{source}\" }}\n")
        });
        let required = format!("terraform {{\n  required_providers {{\n{}  }}\n}}\n", required.concat());
        fs_err::write(self.path().join("main.tf"), required + text).unwrap();
    }

    /// The folder, for use with another process.
    pub fn into_folder(self) -> TempDir {
        self.folder
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn run(&self, args: &[&str]) -> RunResult {
        RunResult::of(self.command(args).output().unwrap())
    }

    /// Runs OpenTofu and asserts that it succeeds.
    pub fn ok(&self, args: &[&str]) -> RunResult {
        let result = self.run(args);
        assert_eq!(result.code, 0, "{args:?}: {}", result.output);
        result
    }

    /// An OpenTofu command that is not yet started.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = tofu_command(self.path(), args);
        command.env("TF_REATTACH_PROVIDERS", &self.provider.addresses);
        command.env("TF_CLI_CONFIG_FILE", self.provider.folder.path().join("tofurc"));
        command
    }

    pub fn apply(&self) -> RunResult {
        self.run(&["apply", "-auto-approve", "-input=false"])
    }

    /// The changes of a plan: addresses and actions, without `no-op`.
    pub fn changes(&self) -> Vec<(String, String)> {
        let plan = self.plan();
        let changes = plan["resource_changes"].as_array().cloned().unwrap_or_default();
        let words = |change: &Value| {
            let actions: Vec<_> = change["change"]["actions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|it| it.as_str().unwrap().to_owned())
                .collect();
            (change["address"].as_str().unwrap().to_owned(), actions.join(","))
        };
        changes.iter().map(words).filter(|(_, actions)| actions != "no-op").collect()
    }

    /// A plan in the format of `show -json`.
    pub fn plan(&self) -> Value {
        self.ok(&["plan", "-input=false", "-out=plan"]);
        serde_json::from_str(&self.ok(&["show", "-json", "plan"]).stdout).unwrap()
    }

    /// The values of a resource in the state.
    pub fn values(&self, address: &str) -> Value {
        let state: Value = serde_json::from_str(&self.ok(&["show", "-json"]).stdout).unwrap();
        let all = state["values"]["root_module"]["resources"].as_array().unwrap();
        all.iter().find(|it| it["address"] == address).unwrap()["values"].clone()
    }
}

impl RunResult {
    pub fn of(output: Output) -> Self {
        let stdout = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        Self { code: output.status.code().unwrap_or(-1), output: format!("{stdout}{stderr}"), stdout }
    }

    /// The output as one line, without the frames and line breaks of OpenTofu's diagnostics.
    pub fn one_line(&self) -> String {
        let words = self.output.split_whitespace().filter(|word| !["│", "╷", "╵"].contains(word));
        words.collect::<Vec<_>>().join(" ")
    }
}

/// Skips the test if this machine has no OpenTofu.
pub fn require_tofu() -> Option<()> {
    tofu::program().map_err(|reason| skipped(&reason)).ok().map(drop)
}

/// Prints that the test is skipped. Fails if `CI` is `true`.
pub fn skipped(reason: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{reason}");
    println!("SKIPPED {}: {reason}", std::thread::current().name().unwrap_or_default());
}

/// An OpenTofu command in a folder, without the environment except `PATH`.
pub fn tofu_command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(tofu::program().unwrap());
    command.args(args).arg("-no-color").current_dir(folder).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", folder);
    command.env("TF_IN_AUTOMATION", "1").env("CHECKPOINT_DISABLE", "1").stdin(Stdio::null());
    command
}

/// The path of a file in `schemas/`.
pub fn schema_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(name)
}
