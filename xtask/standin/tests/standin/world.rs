//! A stand-in of a test's own, and stacks that a real OpenTofu runs on it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::tofu;

/// Ends with the test.
pub struct World {
    process: Child,
    stdout: BufReader<ChildStdout>,
    /// For `TF_REATTACH_PROVIDERS`.
    pub addresses: String,
    folder: TempDir,
    /// What it has been given of this machine.
    machine: Vec<(&'static str, String)>,
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
        Some(Self::on(tempfile::tempdir().unwrap(), machine.to_vec()))
    }

    /// Another process on what the one before has left.
    pub fn again(mut self) -> Self {
        self.end();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        Self::on(folder, std::mem::take(&mut self.machine))
    }

    fn on(folder: TempDir, machine: Vec<(&'static str, String)>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_standin"));
        for provider in ["scaleway", "aws", "cloudflare", "supabase"] {
            command.arg("--schema").arg(data(&format!("{provider}.json")));
            command.arg("--rules").arg(data(&format!("{provider}.standin.json")));
        }
        command.arg("--rules").arg(data("scaleway.rules.json"));
        command.arg("--state").arg(folder.path().join("state"));
        command.envs(machine.iter().cloned());
        // It ends with this process, however that ends.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut addresses = String::new();
        stdout.read_line(&mut addresses).unwrap();
        if addresses.is_empty() {
            let mut said = String::new();
            process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("the stand-in ended: {said}");
        }
        fs_err::write(
            folder.path().join("tofurc"),
            "provider_installation {\n  direct {\n    exclude = [\"*/*\"]\n  }\n}\n",
        )
        .unwrap();
        Self { process, stdout, addresses, folder, machine }
    }

    /// What it keeps of a type: file and content.
    pub fn kept(&self, name: &str) -> Vec<(PathBuf, Value)> {
        let Ok(entries) = fs_err::read_dir(self.state().join(name)) else { return Vec::new() };
        let files = entries.map(|entry| entry.unwrap().path());
        files.map(|file| (file.clone(), serde_json::from_slice(&fs_err::read(&file).unwrap()).unwrap())).collect()
    }

    /// Asks for things to go wrong.
    pub fn faults(&self, entries: &Value) {
        fs_err::write(self.state().join("faults.json"), entries.to_string()).unwrap();
    }

    /// The folder of what exists.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
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

    /// Ends it. All that it has said.
    pub fn end(&mut self) -> String {
        self.process.kill().ok();
        self.process.wait().unwrap();
        let mut said = String::new();
        self.stdout.read_to_string(&mut said).unwrap();
        if let Some(mut stderr) = self.process.stderr.take() {
            stderr.read_to_string(&mut said).unwrap();
        }
        said
    }

    /// Closes its standard input.
    pub fn let_go(&mut self) {
        self.process.stdin.take();
    }

    /// Waits until it ends by itself.
    pub fn ended(&mut self) -> Option<i32> {
        let stdin = self.process.stdin.take();
        let ended = self.process.wait().unwrap().code();
        drop(stdin);
        ended
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
        if self.machine.iter().any(|(name, _)| *name == "STANDIN_DOCKER") {
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
        command.env("TF_REATTACH_PROVIDERS", &self.world.addresses);
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

/// Whether this machine has OpenTofu; says that the test is skipped if not.
pub fn can() -> Option<()> {
    tofu::program().map_err(|why| skipped(&why)).ok().map(drop)
}

/// Says that a test is skipped, and why; with `CI=true` that is a failure.
pub fn skipped(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
    println!("SKIPPED {}: {why}", std::thread::current().name().unwrap_or_default());
}

/// OpenTofu in a folder, with nothing of the environment but what finds programs.
pub fn alone(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(tofu::program().unwrap());
    command.args(args).arg("-no-color").current_dir(folder).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", folder);
    command.env("TF_IN_AUTOMATION", "1").env("CHECKPOINT_DISABLE", "1").stdin(Stdio::null());
    command
}

/// A file of the project's schemas.
pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(name)
}
