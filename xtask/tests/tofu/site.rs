//! A project with a stack, and the S3 server that its state is in.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use camino::Utf8Path;
use serde_json::Value;
use xtask::config::Config;
use xtask::env::Env;
use xtask::report::{Audience, Report};
use xtask::secrets::Redactor;
use xtask::signals::{Stop, StopSender};

use crate::platform::Platform;
use crate::storage::Storage;
use devservers::Cloud;
use devservers::versitygw::{ACCESS_KEY, REGION, SECRET_KEY, Versitygw};
use testkit::Ended;
use testkit::{Project, Ran, Running, or_skip};

/// A secret that no output, argument or file may contain.
pub const SENTINEL: &str = "sentinel \"secret\" ${x} %{y} $(z) ä";
/// The passphrase of state and plans.
pub const PASSPHRASE: &str = "sentinel passphrase ${with} 32 letters";

/// The stack of most tests.
pub const STACK: &str = r#"terraform {
  backend "s3" {}
}

variable "size" {
  type = number
}

variable "secret" {
  type      = string
  sensitive = true
}

resource "terraform_data" "media" {
  input            = var.secret
  triggers_replace = ["one"]
}

resource "terraform_data" "app" {
  input = var.size
}

output "size" {
  value = terraform_data.app.output
}

output "secret" {
  value     = terraform_data.media.output
  sensitive = true
}
"#;

/// A project whose environment `production` has a stack.
pub struct Site<S = Versitygw> {
    pub project: Project,
    pub storage: S,
    /// Where its providers make things, if the stack takes any.
    pub cloud: Option<Cloud>,
    /// The APIs of its platforms.
    pub platform: Platform,
    /// Variables that every command of the toolkit gets.
    pub variables: Vec<(&'static str, String)>,
    /// The folder with the program.
    tofu: PathBuf,
}

impl<S: Storage> Site<S> {
    /// One with everything committed and nothing made yet. `write` gets the project before that, and what deploy.yaml says of
    /// where the state is. None where a test cannot run.
    pub fn with(test: &str, write: impl FnOnce(&Project, &str)) -> Option<Self> {
        let tofu = or_skip(test, devservers::tofu::program())?.parent()?.to_owned();
        let storage = or_skip(test, S::start())?;
        storage.make("states");
        let project = Project::of("fixture", |project| {
            let endpoint = storage.endpoint();
            project.write(".gitignore", "/.deploy\n/target\n.env.*\n/page.md\n");
            write(
                project,
                &format!("state: {{ bucket: states, region: {REGION}, provider: other, endpoint: '{endpoint}' }}"),
            );
        });
        Some(Self { project, storage, cloud: None, platform: Platform::start(), variables: Vec::new(), tofu })
    }
}

impl Site {
    /// One with a small stack.
    pub fn open(test: &str) -> Option<Self> {
        Self::with(test, |project, state| {
            let deploy = project.read("deploy.yaml");
            let production = format!(
                "  production:\n    target: scaleway\n    registry: registry.example.com/shop\n    stack: infra\n    \
                 {state}\n    protect: [terraform_data.media]\n    variables: {{ size: 3 }}\n"
            );
            project.write("deploy.yaml", &format!("{deploy}{production}"));
            project.write("infra/main.tf", STACK);
            write_secrets(&project.root, PASSPHRASE);
        })
    }

    /// One whose stack was applied.
    pub fn made(test: &str) -> Option<Self> {
        let site = Self::open(test)?;
        site.change();
        Some(site)
    }

    /// Works on the environment in this process. What is sent to the sender stops it.
    pub fn in_process<T>(&self, work: impl AsyncFnOnce(&Env<'_>, StopSender) -> T) -> T {
        drop(rustls::crypto::ring::default_provider().install_default());
        let config = Config::load(Utf8Path::from_path(&self.project.root).unwrap()).unwrap();
        let (sender, stop) = Stop::channel();
        let report = Report::new(Audience::Plain, false, Redactor::default());
        let env = Env::find(&config, "production", &report, &stop).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(work(&env, sender))
    }

    /// The object that holds the state.
    pub fn state(&self) -> PathBuf {
        self.storage.bucket("states").join("fixture/production.tfstate")
    }

    /// Its lock.
    pub fn lock(&self) -> PathBuf {
        self.state().with_extension("tfstate.tflock")
    }
}

impl<S> Site<S> {
    /// Plans and applies what has changed.
    #[track_caller]
    pub fn change(&self) {
        let approval = self.approval();
        self.run(&["apply", "production", "--approve", &approval]).expect(0);
    }

    /// A `tofu` command of the toolkit.
    pub fn command(&self, args: &[&str]) -> Command {
        self.command_in(&self.project.root, args)
    }

    /// The same in another checkout.
    pub fn command_in(&self, root: &Path, args: &[&str]) -> Command {
        let mut command = self.toolkit(&[&["tofu"], args].concat());
        command.current_dir(root);
        command
    }

    /// What the program itself says in a folder.
    pub fn tofu(&self, folder: &Path, args: &[&str]) -> String {
        let mut command = Command::new(self.tofu.join("tofu"));
        Ran::of(command.args(args).current_dir(folder).env("CHECKPOINT_DISABLE", "1")).expect(0).stdout
    }

    /// A command of the toolkit that finds the program.
    pub fn toolkit(&self, args: &[&str]) -> Command {
        let mut command = self.project.command(args);
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", self.tofu.display()));
        take_nothing_of_this_machine(&mut command);
        command.env("SCW_API_URL", self.platform.url()).env("CLOUDFLARE_BASE_URL", self.platform.url());
        if let Some(cloud) = &self.cloud {
            command.env("TF_REATTACH_PROVIDERS", cloud.addresses());
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&mut self.command(args))
    }

    /// Starts it with `--json`, to be watched.
    pub fn start(&self, args: &[&str]) -> Running {
        Running::start(self.command(args).arg("--json"))
    }

    /// Runs it with `--json`: its answer.
    #[track_caller]
    pub fn result(&self, args: &[&str], code: i32) -> Value {
        result(self.start(args).end().expect(code))
    }

    /// Makes a plan, which must have changes and no refusal, and returns the digest that approves it.
    #[track_caller]
    pub fn approval(&self) -> String {
        self.result(&["plan", "production"], 10)["approval"].as_str().unwrap().to_owned()
    }

    /// The environment's OpenTofu working folder.
    pub fn folder(&self) -> PathBuf {
        self.project.root.join(".deploy/production/tofu")
    }

    /// Types what a command says behind this mark.
    #[track_caller]
    pub fn type_it(&self, said: &Ran, mark: &str) -> Ran {
        said.type_it(mark, &self.toolkit(&[]))
    }

    /// Types what a command says that a lock has refused.
    #[track_caller]
    pub fn unlock(&self, locked: &Ran) {
        assert_eq!(locked.code, Some(20), "{}", locked.stderr);
        self.type_it(locked, "type: ").expect(0);
    }

    /// Another checkout of the same commit, with the same secrets.
    pub fn clone_to(&self, name: &str) -> PathBuf {
        let root = self.project.root.parent().unwrap().join(name);
        self.project.git(&["clone", "--quiet", ".", root.to_str().unwrap()]);
        write_secrets(&root, PASSPHRASE);
        root
    }

    /// Adds a resource that runs this while it is made, and commits that.
    pub fn runs(&self, command: &str) {
        self.project.write(
            "infra/slow.tf",
            &format!(
                "resource \"terraform_data\" \"slow\" {{\n  provisioner \"local-exec\" {{\n    command = \"{command}\"\n  }}\n}}\n"
            ),
        );
        self.project.commit("Something that takes its time");
    }
}

/// A stand-in with all providers and no resources; `machine` names the servers of this machine that it may use.
pub fn cloud(machine: &[(&str, &str)]) -> Cloud {
    // cargo does not build it for the tests of another package.
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
        let target = testkit::toolkit().parent().and_then(Path::parent).expect("the toolkit is in a target folder");
        devservers::standin::build(target).unwrap()
    });
    Cloud::start(&PROGRAM, machine).unwrap()
}

/// Removes the variables of this machine's user.
pub fn take_nothing_of_this_machine(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if ["TF_", "AWS_", "SCW_", "CLOUDFLARE_"].iter().any(|begin| name.starts_with(begin)) {
            command.env_remove(&*name);
        }
    }
}

/// The answer among a command's events.
pub fn result(ended: Ended) -> Value {
    let mut results = ended.events.into_iter().filter(|event| event["state"] == "result");
    results.next().expect("there is an answer")["detail"].take()
}

/// The environment's secrets, as a person keeps them.
pub fn write_secrets(root: &Path, passphrase: &str) {
    let secret = SENTINEL.replace('"', "\\\"").replace('$', "\\$");
    write_env(root, passphrase, &format!("TF_VAR_secret=\"{secret}\"\n"));
}

/// The same with other variables.
pub fn write_env(root: &Path, passphrase: &str, variables: &str) {
    let text = format!(
        "AWS_ACCESS_KEY_ID={ACCESS_KEY}\nAWS_SECRET_ACCESS_KEY={SECRET_KEY}\nTF_STATE_PASSPHRASE='{passphrase}'\n{variables}"
    );
    write_env_file(root, &text);
}

/// What a person keeps in that file, which nobody else may read.
pub fn write_env_file(root: &Path, text: &str) {
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new();
    let file = file.write(true).create(true).truncate(true).mode(0o600).open(root.join(".env.production"));
    file.unwrap().write_all(text.as_bytes()).unwrap();
}
