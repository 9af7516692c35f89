//! A stand-in of a test's own, and stacks that a real OpenTofu runs on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use devservers::{Cloud, tofu};
use serde_json::Value;
use tempfile::TempDir;

/// A stand-in, which ends when this value is dropped.
pub struct World {
    cloud: Cloud,
    folder: TempDir,
    /// Whether it runs containers in this machine's Docker engine.
    has_engine: bool,
}

/// What a command came to.
pub struct Ran {
    /// Its exit code.
    pub code: i32,
    /// Standard output and error.
    pub said: String,
    /// Standard output alone.
    pub out: String,
}

impl World {
    /// With all providers, and nothing that exists. `None`, which is said, where this machine has no OpenTofu.
    pub fn new() -> Option<Self> {
        Self::with(&[])
    }

    /// The same with servers of this machine, by the variables that name them.
    pub fn with(machine: &[(&'static str, String)]) -> Option<Self> {
        can()?;
        Some(Self::on(tempfile::tempdir().unwrap(), machine))
    }

    /// The same resources after the stand-in has been killed and started again.
    pub fn again(mut self) -> Self {
        self.cloud.restart();
        self
    }

    fn on(folder: TempDir, machine: &[(&str, String)]) -> Self {
        let variables: Vec<(&str, &str)> = machine.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let cloud = Cloud::start(Path::new(env!("CARGO_BIN_EXE_standin")), &variables).unwrap();
        fs_err::write(
            folder.path().join("tofurc"),
            "provider_installation {\n  direct {\n    exclude = [\"*/*\"]\n  }\n}\n",
        )
        .unwrap();
        Self { cloud, folder, has_engine: machine.iter().any(|(name, _)| *name == "STANDIN_DOCKER") }
    }

    /// The resources of a type: the file and the values of each.
    pub fn kept(&self, name: &str) -> Vec<(PathBuf, Value)> {
        self.cloud.kept(name)
    }

    /// Makes calls fail, as `faults.json` describes it.
    pub fn faults(&self, entries: &Value) {
        self.cloud.faults(entries);
    }

    /// The folder of the resources.
    pub fn state(&self) -> PathBuf {
        self.cloud.folder()
    }

    /// A new stack with this text, initialised.
    pub fn stack(&self, text: &str) -> Stack<'_> {
        let stack = self.bare(text);
        let ran = stack.run(&["init", "-input=false"]);
        assert_eq!(ran.code, 0, "{}", ran.said);
        stack
    }

    /// A new stack with this text.
    pub fn bare(&self, text: &str) -> Stack<'_> {
        let stack = Stack { world: self, folder: tempfile::tempdir_in(self.folder.path()).unwrap() };
        stack.write(text);
        stack
    }

    /// A stack that was there before.
    pub fn at(&self, folder: TempDir) -> Stack<'_> {
        Stack { world: self, folder }
    }

    /// Kills it: all that it has written.
    pub fn end(&mut self) -> String {
        self.cloud.server().kill();
        self.cloud.server().lines().join("\n")
    }

    /// Closes its standard input.
    pub fn let_go(&mut self) {
        self.cloud.server().close_input();
    }

    /// Waits until it ends by itself: its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        self.cloud.server().wait().unwrap().code()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.cloud.server().kill();
        if self.has_engine {
            super::engine::remove_all(&self.state());
        }
    }
}

/// A folder of configuration.
pub struct Stack<'a> {
    world: &'a World,
    folder: TempDir,
}

impl Stack<'_> {
    /// Its only file.
    pub fn write(&self, text: &str) {
        let providers = ["scaleway/scaleway", "hashicorp/aws", "cloudflare/cloudflare", "supabase/supabase"];
        let required = providers.map(|source| {
            let name = source.rsplit('/').next().unwrap();
            format!("    {name} = {{ source = \"{source}\" }}\n")
        });
        let required = format!("terraform {{\n  required_providers {{\n{}  }}\n}}\n", required.concat());
        fs_err::write(self.path().join("main.tf"), required + text).unwrap();
    }

    /// Its folder, for another stand-in.
    pub fn keep(self) -> TempDir {
        self.folder
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs OpenTofu in it.
    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// Runs it and asserts that it succeeds.
    pub fn ok(&self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {}", ran.said);
        ran
    }

    /// OpenTofu in it, not yet started.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = alone(self.path(), args);
        command.env("TF_REATTACH_PROVIDERS", self.world.cloud.addresses());
        command.env("TF_CLI_CONFIG_FILE", self.world.folder.path().join("tofurc"));
        command
    }

    /// Applies without asking.
    pub fn apply(&self) -> Ran {
        self.run(&["apply", "-auto-approve", "-input=false"])
    }

    /// What a plan would do: each address with its actions, but not what stays.
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

    /// A plan in full, as `show -json` has it.
    pub fn plan(&self) -> Value {
        self.ok(&["plan", "-input=false", "-out=plan"]);
        serde_json::from_str(&self.ok(&["show", "-json", "plan"]).out).unwrap()
    }

    /// The values of one resource in the state.
    pub fn values(&self, address: &str) -> Value {
        let state: Value = serde_json::from_str(&self.ok(&["show", "-json"]).out).unwrap();
        let all = state["values"]["root_module"]["resources"].as_array().unwrap();
        all.iter().find(|it| it["address"] == address).unwrap()["values"].clone()
    }
}

impl Ran {
    /// What a process came to.
    pub fn of(output: Output) -> Self {
        let out = String::from_utf8(output.stdout).unwrap();
        // It frames and folds what it says; a test looks for words.
        let err = String::from_utf8(output.stderr).unwrap();
        Self { code: output.status.code().unwrap_or(-1), said: format!("{out}{err}"), out }
    }

    /// What was said, in one line.
    pub fn line(&self) -> String {
        let words = self.said.split_whitespace().filter(|word| !["│", "╷", "╵"].contains(word));
        words.collect::<Vec<_>>().join(" ")
    }
}

/// Whether this machine has OpenTofu; if not, says that the test is skipped.
pub fn can() -> Option<()> {
    need(tofu::program()).map(drop)
}

/// What the test that runs needs, or `None` and a line that says that it is skipped.
pub fn need<T>(needed: anyhow::Result<T>) -> Option<T> {
    testkit::or_skip(&testkit::test_name(), needed)
}

/// OpenTofu in a folder, with nothing of the environment but what finds programs.
pub fn alone(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(tofu::program().unwrap());
    command.args(args).arg("-no-color").current_dir(folder).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", folder);
    command.env("TF_IN_AUTOMATION", "1").env("CHECKPOINT_DISABLE", "1").stdin(Stdio::null());
    command
}
