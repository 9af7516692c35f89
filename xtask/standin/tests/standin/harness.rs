//! Starts the stand-in for a test and runs OpenTofu on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use devservers::standin::Builder;
use devservers::{Cloud, tofu};
use serde_json::Value;
use tempfile::TempDir;

/// A running stand-in. Dropping it stops the process.
pub struct TestProvider {
    pub cloud: Cloud,
    /// The stacks and the configuration of OpenTofu's CLI.
    folder: TempDir,
    /// Whether it starts containers in the Docker engine.
    has_docker: bool,
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
    pub fn with(variables: &[(&str, String)]) -> Option<Self> {
        let has_docker = variables.iter().any(|(name, _)| *name == "STANDIN_DOCKER");
        Self::of(variables.iter().fold(builder(), |builder, (name, value)| builder.variable(name, value)), has_docker)
    }

    /// Serves a stand-in with other servers.
    pub fn of(builder: Builder, has_docker: bool) -> Option<Self> {
        require_tofu()?;
        let cloud = builder.start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(
            folder.path().join("tofurc"),
            "provider_installation {\n  direct {\n    exclude = [\"*/*\"]\n  }\n}\n",
        )
        .unwrap();
        Some(Self { cloud, folder, has_docker })
    }

    /// Kills the process and starts another on the same state.
    pub fn restart(mut self) -> Self {
        self.cloud.restart();
        self
    }

    /// The stored resources of a type: files and contents.
    pub fn stored(&self, name: &str) -> Vec<(PathBuf, Value)> {
        self.cloud.kept(name)
    }

    pub fn inject_faults(&self, entries: &Value) {
        self.cloud.faults(entries).unwrap();
    }

    /// How often the first of the injected faults is still to occur.
    pub fn faults_left(&self) -> u64 {
        let left: Value = serde_json::from_slice(&fs_err::read(self.state().join("faults.json")).unwrap()).unwrap();
        left[0]["times"].as_u64().unwrap()
    }

    /// The folder of the stored resources.
    pub fn state(&self) -> PathBuf {
        self.cloud.folder()
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
        self.cloud.server().kill();
        self.cloud.server().lines().join("\n")
    }

    pub fn close_stdin(&mut self) {
        self.cloud.server().close_input();
    }

    /// Waits until the process exits, and returns its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        self.cloud.server().wait().unwrap().code()
    }
}

impl Drop for TestProvider {
    fn drop(&mut self) {
        self.cloud.server().kill();
        if self.has_docker {
            super::docker::remove_containers(&self.state());
        }
    }
}

/// The stand-in that these tests are for.
pub fn builder() -> Builder {
    Cloud::builder(Path::new(env!("CARGO_BIN_EXE_standin")))
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
        command.env("TF_REATTACH_PROVIDERS", self.provider.cloud.addresses());
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
    or_skip(tofu::program()).map(drop)
}

/// Skips the test if this machine lacks what it requires.
pub fn or_skip<T>(required: anyhow::Result<T>) -> Option<T> {
    testkit::or_skip(&testkit::test_name(), required)
}

/// An OpenTofu command in a folder, without the environment except `PATH`.
pub fn tofu_command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(tofu::program().unwrap());
    command.args(args).arg("-no-color").current_dir(folder).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", folder);
    command.env("TF_IN_AUTOMATION", "1").env("CHECKPOINT_DISABLE", "1").stdin(Stdio::null());
    command
}
