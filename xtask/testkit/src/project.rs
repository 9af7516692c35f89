//! A project to deploy: a copy of the fixture, in a git repository of its own, on a port of its own.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::machine::{self, Process};
use crate::running::Running;
use crate::{client, git, toolkit};

/// Variables of this process that would change what the toolkit or cargo does.
const NOT_INHERITED: [&str; 6] =
    ["CI", "GITHUB_ACTIONS", "NO_COLOR", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR", "COLUMNS"];

/// A project that can be deployed. When this value is dropped, it is stopped and its processes are killed.
pub struct Project {
    /// Its root.
    pub root: PathBuf,
    /// Where its service listens.
    pub port: u16,
    /// The toolkit's program.
    pub toolkit: PathBuf,
    _folder: TempDir,
}

/// How a command ended, and its output.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Project {
    /// The fixture, committed, in a folder of its own.
    pub fn fixture() -> Self {
        Self::of("fixture", |_| {})
    }

    /// The project in this folder of `xtask/tests`, committed after `change`, in a folder of its own.
    pub fn of(name: &str, change: impl FnOnce(&Self)) -> Self {
        // Root's deploy has users of its own, which pass the folder.
        let open = std::fs::Permissions::from_mode(0o711);
        let folder = tempfile::Builder::new().prefix("xtask-test-").permissions(open).tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap().join("project");
        let project = Self { root, port: devservers::port::free(), toolkit: toolkit().to_owned(), _folder: folder };
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests").join(name), &project.root);
        project.edit("deploy.yaml", "port: 3999", &format!("port: {}", project.port));
        change(&project);
        project.git(&["init", "--quiet", "--initial-branch", "main"]);
        project.commit("First");
        project
    }

    /// Writes a file.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    /// Reads a file.
    pub fn read(&self, path: &str) -> String {
        fs_err::read_to_string(self.root.join(path)).unwrap()
    }

    /// Replaces a text of a file, which must be there.
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{path} has no {from:?}:\n{text}");
        self.write(path, &text.replace(from, to));
    }

    /// Gives the gate this many seconds.
    pub fn gate(&self, seconds: u32) {
        self.edit("deploy.yaml", "timeout: 30", &format!("timeout: {seconds}"));
    }

    /// Commits everything, also when nothing changed: the version that a deploy of it has.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "."]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.head()
    }

    /// A commit of a service that behaves like this: its version.
    pub fn commit_behaviour(&self, behaviour: &str) -> String {
        self.write("src/behaviour.txt", behaviour);
        self.commit(behaviour)
    }

    /// The version of the commit that is checked out.
    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])[..12].to_owned()
    }

    /// What git says.
    pub fn git(&self, args: &[&str]) -> String {
        let mut command = git::git(&self.root);
        let who = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"];
        command.args(who).args(args);
        inherit_little(&mut command);
        let output = command.output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A command of the toolkit, in the project's root.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.toolkit);
        command.args(args).current_dir(&self.root).stdin(Stdio::null());
        inherit_little(&mut command);
        command
    }

    /// The same with another umask than this process's.
    pub fn under(&self, umask: &str, args: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "umask $0 && exec \"$@\"", umask]).arg(&self.toolkit).args(args);
        command.current_dir(&self.root).stdin(Stdio::null());
        inherit_little(&mut command);
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&mut self.command(args))
    }

    /// Runs a command that must succeed.
    pub fn ok(&self, args: &[&str]) -> Ran {
        self.run(args).expect(0)
    }

    /// Starts a command with `--json`, to be watched.
    pub fn start(&self, args: &[&str]) -> Running {
        Running::start(self.command(args).arg("--json"))
    }

    /// The details of the results that a command answers with.
    pub fn results(&self, args: &[&str]) -> Vec<Value> {
        details(self.start(args).end().expect(0).events)
    }

    /// The records, newest first.
    pub fn records(&self) -> Vec<Value> {
        self.results(&["history"])
    }

    /// What `status` answers, whether or not a release is ready.
    pub fn status(&self) -> Value {
        let ended = self.start(&["status"]).end();
        assert!(matches!(ended.code, Some(0 | 31)), "{:#?}", ended.events);
        details(ended.events).remove(0)
    }

    /// What the service answers with 200.
    pub fn get(&self, path: &str) -> Option<String> {
        let answer = client::get(self.port, path).ok()?;
        (answer.status == 200).then(|| answer.text())
    }

    /// The version that serves, if any.
    pub fn serves(&self) -> Option<String> {
        self.get("/version")
    }

    /// A path in the environment's folder.
    pub fn deployed(&self, path: &str) -> PathBuf {
        self.root.join(".deploy/local").join(path)
    }

    /// Every process of this project.
    pub fn processes(&self) -> Vec<Process> {
        machine::processes_below(&self.root)
    }

    /// The processes of the service.
    pub fn services(&self) -> Vec<Process> {
        self.processes().into_iter().filter(|process| process.command.contains("bin/fixture serve")).collect()
    }

    /// The supervisor's process.
    pub fn supervisor(&self) -> u32 {
        let pid = self.status()["supervisor"]["supervisor"]["pid"].as_u64().unwrap();
        pid.try_into().unwrap()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        // This may fail: a test may have broken what it needs.
        drop(self.command(&["stop"]).stdout(Stdio::null()).stderr(Stdio::null()).status());
        for process in self.processes() {
            machine::signal(process.pid, Signal::KILL);
        }
    }
}

impl Ran {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// It ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "standard output:\n{}\nstandard error:\n{}", self.stdout, self.stderr);
        self
    }

    /// Its standard error has all of these texts.
    #[track_caller]
    pub fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "it does not say {text:?}:\n{}", self.stderr);
        }
        self
    }
}

fn details(events: Vec<Value>) -> Vec<Value> {
    events.into_iter().filter(|event| event["state"] == "result").map(|mut event| event["detail"].take()).collect()
}

fn inherit_little(command: &mut Command) {
    for name in NOT_INHERITED {
        command.env_remove(name);
    }
    git::without_git_variables(command);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
}

/// The fixture's files, without what was built there by hand.
fn copy(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            if entry.file_name() != "target" {
                copy(&entry.path(), &target);
            }
        } else {
            fs_err::copy(entry.path(), target).unwrap();
        }
    }
}
