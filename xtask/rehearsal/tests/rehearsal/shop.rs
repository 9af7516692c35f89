//! A project to rehearse: the fixture's, with this repository's stack for Scaleway and a service of busybox.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;
use testkit::machine::{Process, processes_below, signal};
use testkit::{Project, Ran, Running, or_skip, skipped};

/// A secret that no output, argument or file may contain.
pub const SENTINEL: &str = "sentinel-of-the-shop-7d1f";

/// The service: a shell script that says that it is ready in its version.
const START: &str = r#"#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /www/api/health
echo fine > /www/api/health/readiness
echo fine > /www/api/health/liveness
$b printf '{"status":"ready","version":"%s"}' "$SERVICE_VERSION" > /www/ready
trap 'exit 0' TERM
$b httpd -f -p "$PORT" -h /www &
wait
"#;

const SETTINGS: &str = r#"{ "schema": 1, "settings": [
  { "name": "SERVICE_VERSION", "help": "The release", "kind": "text", "default": "none", "required": false, "secret": false, "supplied_by": "version" },
  { "name": "PORT", "help": "The port", "kind": "port", "default": "3000", "required": false, "secret": false, "supplied_by": "port" },
  { "name": "GREETING", "help": "What it says", "kind": "text", "default": null, "required": true, "secret": false, "supplied_by": null },
  { "name": "BUCKET", "help": "A bucket", "kind": "text", "default": null, "required": true, "secret": false, "supplied_by": null },
  { "name": "SIGNING_KEY", "help": "A key", "kind": "text", "default": null, "required": true, "secret": true, "supplied_by": "random" }
] }"#;

/// The stack of its media, which makes nothing.
const MEDIA: &str = r#"terraform {
  backend "s3" {}
}

variable "bucket" {}

resource "terraform_data" "bucket" {
  input = var.bucket
}

output "bucket" {
  value = terraform_data.bucket.output
}
"#;

/// The environment, without the values that only an account has.
const PRODUCTION: &str = r"
image: {}

environments:
  production:
    target: scaleway
    registry: rg.fr-par.scw.cloud/shop
    domain: media.example.org
    stack: infra/scaleway
    state: { bucket: shop-tofu-state, region: fr-par, provider: scaleway, encryption: required }
    protect: [scaleway_object_bucket.media, scaleway_registry_namespace.images]
    gate: { timeout: 15, watch: 1 }
    settings: {}
    media: { stack: infra/media, variables: { bucket: shop-media }, settings: { BUCKET: bucket } }
    variables:
      project: shop
      environment: production
      registry_namespace: shop
      bucket: shop-media
      domain: media.example.org
";

/// What stands for those values in a rehearsal.
const REHEARSAL: &str = r#"    rehearsal:
      settings: { GREETING: hello }
      variables:
        organization_id: 00000000-0000-0000-0000-000000000000
        project_id: 00000000-0000-0000-0000-000000000001
        state_project_id: 00000000-0000-0000-0000-000000000002
        bucket_admins: '["user_id:00000000-0000-0000-0000-000000000003"]'
        dns_zone_id: '{zone_id}'
"#;

/// A project with a stack. What its rehearsals leave is removed when it is dropped.
pub struct Shop {
    pub project: Project,
}

impl Shop {
    /// One that can be rehearsed. None where a test cannot run.
    pub fn open(test: &str) -> Option<Self> {
        if !docker(&["version"]).output().is_ok_and(|output| output.status.success()) {
            skipped(test, "no Docker engine answers; install one: cargo xtask setup --docker");
            return None;
        }
        if !testkit::machine::is_root() {
            skipped(test, "only root listens on port 443");
            return None;
        }
        or_skip(test, devservers::registry::program())?;
        Self::with(test, REHEARSAL)
    }

    /// One whose values for a rehearsal are these.
    pub fn with(test: &str, rehearsal: &str) -> Option<Self> {
        or_skip(test, devservers::tofu::program())?;
        let project = Project::of("fixture", |project| {
            let deploy = project.read("deploy.yaml").replace("  migrations: migrations\n", "");
            let (service, local) = deploy.split_once("\nenvironments:\n").unwrap();
            project.write("deploy.yaml", &format!("{service}{PRODUCTION}{rehearsal}{local}"));
            project.write("settings.json", SETTINGS);
            project.write(".gitignore", "/.deploy\n/target\n.env.*\n");
            project.write_image(START);
            project.write("infra/media/main.tf", MEDIA);
            copy_stack(&project.root);
        });
        Some(Self { project })
    }

    /// The command, which has secrets of this shell that are another account's.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = rehearsal(&self.project.root, args);
        command.env("SCW_SECRET_KEY", SENTINEL).env("AWS_SECRET_ACCESS_KEY", SENTINEL).env("SIGNING_KEY", SENTINEL);
        command
    }

    /// Starts it with `--json`.
    pub fn start(&self, args: &[&str]) -> Running {
        Running::start(self.command(args).arg("--json"))
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&mut self.command(args))
    }

    /// Its folder.
    pub fn folder(&self) -> PathBuf {
        self.project.root.join(".deploy/rehearsal-production")
    }

    /// Every process of its rehearsals.
    pub fn processes(&self) -> Vec<Process> {
        processes_below(&self.folder())
    }

    /// The containers of its rehearsal: their ids. There are none once its folder is gone.
    pub fn containers(&self) -> Vec<String> {
        let cloud = self.folder().join("servers/stand-in/cloud");
        let Ok(cloud) = cloud.canonicalize() else { return Vec::new() };
        containers_of(&cloud)
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        drop(self.run(&["clean", "production"]));
        for process in self.processes() {
            signal(process.pid, Signal::KILL);
        }
    }
}

/// The command in this project.
pub fn rehearsal(root: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rehearsal"));
    command.arg("rehearse").args(args).current_dir(root).stdin(std::process::Stdio::null()).env_remove("CI");
    command.env("CARGO_BIN_EXE_xtask", testkit::toolkit()).env("CARGO_BIN_EXE_standin", standin());
    command
}

/// The events of a command that was run with `--json`.
pub fn events(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The ids of the containers of a stand-in with this folder.
pub fn containers_of(cloud: &Path) -> Vec<String> {
    use sha2::Digest as _;
    let digits = hex::encode(sha2::Sha256::digest(cloud.to_str().unwrap().as_bytes()));
    let label = format!("label=standin.state={}", &digits[..12]);
    let listed = Ran::of(&mut docker(&["ps", "--all", "--quiet", "--filter", &label])).stdout;
    listed.lines().map(str::to_owned).collect()
}

/// The names of the engine's images that are of this registry.
pub fn images_of(registry: &str) -> Vec<String> {
    let listed = Ran::of(&mut docker(&["images", "--format", "{{.Repository}}"])).stdout;
    listed.lines().filter(|name| name.starts_with(registry)).map(str::to_owned).collect()
}

/// The account that a rehearsal ended with.
pub fn account(events: &[Value]) -> Value {
    let mut results = events.iter().rev().filter(|event| event["state"] == "result");
    results.next().expect("it ends with an account")["detail"]["account"].clone()
}

fn docker(args: &[&str]) -> Command {
    let mut docker = Command::new("docker");
    docker.args(args);
    docker
}

fn standin() -> PathBuf {
    let target = testkit::toolkit().parent().and_then(Path::parent).expect("the toolkit is in a target folder");
    devservers::standin::build(target).unwrap()
}

/// The stack's files without its tests, which read the settings of this repository's service.
fn copy_stack(root: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/scaleway");
    let to = root.join("infra/scaleway");
    fs_err::create_dir_all(&to).unwrap();
    for entry in fs_err::read_dir(from).unwrap().map(|entry| entry.unwrap()).filter(|entry| entry.path().is_file()) {
        let text =
            fs_err::read_to_string(entry.path()).unwrap().replace("../../app/settings.json", "../../settings.json");
        fs_err::write(to.join(entry.file_name()), text).unwrap();
    }
}
