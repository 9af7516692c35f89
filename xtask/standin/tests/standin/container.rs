//! A container that runs in this machine's Docker engine.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::registry::{DockerRegistry, Login};
use super::world::{Ran, World, skipped};

/// An image that serves its version and what it was told.
const IMAGE: &str = "standin-test-web";

const START: &str = r#"#!/bin/sh
mkdir -p /www
cp /version /www/version
printf %s "$SECRET" > /www/secret
printf %s "$OPEN $SHARED $BOTH $PORT" > /www/open
echo "this is version $(cat /version)"
trap 'exit 0' TERM
httpd -f -p "$PORT" -h /www &
wait
"#;

/// Quotes, a line's end and what a shell, OpenTofu or Docker might take for its own.
const SECRET: &str = "it's \"so\"\\n\nand $HOME ${x} %{y} %s ü €";

const STACK: &str = r#"
variable "image" {
  default = "standin-test-web:1"
}

variable "secret" {
  default   = ""
  sensitive = true
}

variable "path" {
  default = "/version"
}

variable "command" {
  type    = list(string)
  default = null
}

variable "tags" {
  type    = list(string)
  default = []
}

resource "scaleway_container_namespace" "main" {
  name                         = "media"
  environment_variables        = { SHARED = "shared", BOTH = "the namespace's" }
  secret_environment_variables = { SECRET = "the namespace's" }
}

resource "scaleway_container" "app" {
  name                         = "app"
  namespace_id                 = scaleway_container_namespace.main.id
  image                        = var.image
  command                      = var.command
  tags                         = var.tags
  port                         = 8765
  cpu_limit                    = 250
  memory_limit_bytes           = 67108864
  environment_variables        = { OPEN = "open", BOTH = "its own" }
  secret_environment_variables = { SECRET = var.secret }

  startup_probe {
    failure_threshold = 3
    interval          = "1s"
    timeout           = "1s"
    http {
      path = var.path
    }
  }
  liveness_probe {
    failure_threshold = 3
    interval          = "1s"
    timeout           = "1s"
    tcp               = true
  }
}

output "address" {
  value = scaleway_container.app.public_endpoint
}
"#;

/// A stand-in with the engine, and images to run.
fn open(more: &[(&'static str, String)]) -> Option<World> {
    if !docker(&["version"]).output().is_ok_and(|output| output.status.success()) {
        skipped("no Docker engine answers; install one: cargo xtask setup --docker");
        return None;
    }
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| ["1", "2"].into_iter().for_each(import));
    World::with(&[&[("STANDIN_DOCKER", "1".to_owned())], more].concat())
}

/// The containers of a folder of state: their ids.
pub fn containers(state: &Path) -> Vec<String> {
    let Ok(state) = state.canonicalize() else { return Vec::new() };
    let mark = &hex::encode(Sha256::digest(state.as_os_str().as_encoded_bytes()))[..12];
    let filter = format!("label=standin.state={mark}");
    docker_says(&["ps", "--all", "--quiet", "--filter", &filter]).lines().map(str::to_owned).collect()
}

/// Ends what a test has left.
pub fn remove_all(state: &Path) {
    containers(state).iter().for_each(|id| drop(docker(&["rm", "--force", id]).output()));
}

/// The only container of a stand-in, as the engine describes it.
fn container(world: &World) -> Value {
    let all = containers(&world.state());
    let [only] = &all[..] else { panic!("{all:?}") };
    serde_json::from_str::<Value>(&docker_says(&["inspect", only])).unwrap()[0].take()
}

#[test]
fn a_container_runs_from_create_to_destroy() {
    let Some(world) = open(&[]) else { return };
    let stack = world.stack(STACK);
    fs_err::write(stack.path().join("terraform.tfvars.json"), json!({ "secret": SECRET }).to_string()).unwrap();
    let ran = stack.apply();
    assert_eq!(ran.code, 0, "{}", ran.said);
    assert!(!ran.said.contains("and $HOME"), "{}", ran.said);
    let app = stack.values("scaleway_container.app");
    assert_eq!((&app["status"], &app["error_message"]), (&json!("ready"), &json!("")));
    let address = stack.ok(&["output", "-raw", "address"]).out;
    assert_eq!(app["domain_name"], address.strip_prefix("http://").unwrap());
    assert_eq!(get(&address, "/version"), "1");
    assert_eq!(get(&address, "/secret"), SECRET);
    assert_eq!(get(&address, "/open"), "open shared its own 8765");
    let first = container(&world);
    let limits = &first["HostConfig"];
    assert_eq!(
        (&limits["Memory"], &limits["CpuQuota"], &limits["CpuPeriod"]),
        (&json!(67108864), &json!(25000), &json!(100000))
    );
    assert_eq!(stack.changes(), []);

    // What is no part of a version starts none.
    stack.ok(&["apply", "-auto-approve", "-var=tags=[\"a\"]"]);
    assert_eq!(container(&world)["Id"], first["Id"]);

    let change = ["-var=image=standin-test-web:2", "-var=tags=[\"a\"]"];
    stack.ok(&["plan", "-input=false", "-out=plan", change[0], change[1]]);
    let shown = stack.ok(&["show", "plan"]).said;
    assert!(shown.contains("0 to add, 1 to change, 0 to destroy"), "{shown}");
    assert!(!shown.contains("public_endpoint") && !shown.contains("domain_name"), "its address stays: {shown}");
    stack.ok(&["apply", "plan"]);
    assert_eq!(stack.ok(&["output", "-raw", "address"]).out, address);
    assert_eq!(get(&address, "/version"), "2");
    assert_ne!(container(&world)["Id"], first["Id"]);

    stack.ok(&["destroy", "-auto-approve", "-input=false"]);
    assert_eq!(containers(&world.state()), Vec::<String>::new());
    assert!(TcpStream::connect(address.strip_prefix("http://").unwrap()).is_err());
}

#[test]
fn one_that_does_not_come_up_is_an_error_in_its_status_and_the_old_one_serves_on() {
    let Some(world) = open(&[]) else { return };
    let stack = world.stack(STACK);
    let apply = |more: &[&str]| {
        stack.ok(&[&["apply", "-auto-approve", "-input=false"], more].concat());
        let app = stack.values("scaleway_container.app");
        (app["status"].as_str().unwrap().to_owned(), app["error_message"].as_str().unwrap().to_owned())
    };
    let ends = "-var=command=[\"/bin/sh\", \"-c\", \"echo no database; exit 3\"]";
    let (status, why) = apply(&[ends]);
    assert_eq!(status, "error");
    assert!(why.contains("exit code 3") && why.contains("no database"), "{why}");
    let (status, why) = apply(&["-var=image=standin-test-web:none"]);
    assert_eq!(status, "error");
    assert!(why.contains("standin-test-web:none cannot be pulled"), "{why}");
    assert_eq!(apply(&[]), ("ready".to_owned(), String::new()));
    let address = stack.ok(&["output", "-raw", "address"]).out;

    let (status, why) = apply(&["-var=path=/nowhere", "-var=image=standin-test-web:2"]);
    assert_eq!(status, "error");
    assert!(why.contains("startup_probe: /nowhere at port 8765") && why.contains("404"), "{why}");
    assert!(why.contains("this is version 2"), "{why}");
    assert_eq!(get(&address, "/version"), "1");
    assert_eq!(containers(&world.state()).len(), 1);
    assert_eq!(apply(&["-var=image=standin-test-web:2"]).0, "ready");
    assert_eq!(get(&address, "/version"), "2");
}

#[test]
fn what_is_done_to_it_by_hand_is_seen() {
    let Some(world) = open(&[]) else { return };
    let stack = world.stack(STACK);
    stack.apply();
    let address = stack.ok(&["output", "-raw", "address"]).out;
    docker_says(&["kill", container(&world)["Id"].as_str().unwrap()]);
    stack.ok(&["apply", "-refresh-only", "-auto-approve"]);
    let app = stack.values("scaleway_container.app");
    assert_eq!(app["status"], "error");
    assert!(app["error_message"].as_str().unwrap().contains("exit code 137"), "{app}");

    docker_says(&["rm", "--force", container(&world)["Id"].as_str().unwrap()]);
    assert_eq!(stack.changes(), [("scaleway_container.app".to_owned(), "create".to_owned())]);
    stack.apply();
    assert_eq!(get(&stack.ok(&["output", "-raw", "address"]).out, "/version"), "1");
    assert_ne!(stack.ok(&["output", "-raw", "address"]).out, address);
}

#[test]
fn what_a_killed_stand_in_leaves_behind_is_reached_and_ended() {
    let Some(world) = open(&[]) else { return };
    let stack = world.stack(STACK);
    stack.apply();
    let address = stack.ok(&["output", "-raw", "address"]).out;
    let folder = stack.keep();
    let world = world.again();
    let stack = world.at(folder);
    assert_eq!(get(&address, "/version"), "1");
    assert_eq!(stack.changes(), []);

    // It has done its work, and OpenTofu does not know it.
    world.faults(&json!([{ "type": "scaleway_container", "during": "update", "fault": "die_after" }]));
    assert_ne!(stack.run(&["apply", "-auto-approve", "-var=image=standin-test-web:2"]).code, 0);
    let folder = stack.keep();
    let world = world.again();
    fs_err::remove_file(world.state().join("faults.json")).unwrap();
    let stack = world.at(folder);
    assert_eq!(get(&address, "/version"), "2");
    stack.ok(&["destroy", "-auto-approve", "-input=false"]);
    assert_eq!(containers(&world.state()), Vec::<String>::new());
}

#[test]
fn an_image_comes_from_this_machines_registry_by_its_digest() {
    let Some(registry) = DockerRegistry::start("an_image_comes_from_the_registry", Login::Nobody) else { return };
    let Some(world) = open(&[("STANDIN_REGISTRY", registry.address.clone())]) else { return };
    let name = format!("{}/media/app", registry.address);
    docker_says(&["tag", &format!("{IMAGE}:1"), &format!("{name}:1")]);
    let pushed = docker_says(&["push", &format!("{name}:1")]);
    let digest = pushed.split("digest: ").nth(1).unwrap().split(' ').next().unwrap();
    docker_says(&["rmi", &format!("{name}:1")]);
    let namespace = "resource \"scaleway_registry_namespace\" \"images\" {\n  name = \"media\"\n}\n";
    let image = format!("\"${{scaleway_registry_namespace.images.endpoint}}/app@{digest}\"");
    let stack = world.stack(&(namespace.to_owned() + &STACK.replace("= var.image", &format!("= {image}"))));
    let ran = stack.apply();
    assert_eq!(ran.code, 0, "{}", ran.said);
    assert_eq!(stack.values("scaleway_container.app")["image"], format!("{name}@{digest}"));
    assert_eq!(get(&stack.ok(&["output", "-raw", "address"]).out, "/version"), "1");
    stack.ok(&["destroy", "-auto-approve", "-input=false"]);
    docker_says(&["rmi", &format!("{name}@{digest}")]);
}

fn get(address: &str, path: &str) -> String {
    let host = address.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 "), "{path}: {head}");
    body.trim_end_matches(|c| path == "/version" && c == '\n').to_owned()
}

fn docker(args: &[&str]) -> Command {
    let mut docker = Command::new("docker");
    docker.args(args);
    docker
}

#[track_caller]
fn docker_says(args: &[&str]) -> String {
    let ran = Ran::of(docker(args).output().unwrap());
    assert_eq!(ran.code, 0, "{args:?}: {}", ran.said);
    ran.out.trim().to_owned()
}

/// Makes a version of the image, of a static shell.
fn import(version: &str) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs_err::create_dir_all(at("bin")).unwrap();
    fs_err::copy("/bin/busybox", at("bin/busybox")).expect("Debian's package busybox-static is installed");
    for name in ["cat", "cp", "httpd", "mkdir", "sh"] {
        symlink("busybox", at("bin").join(name)).unwrap();
    }
    fs_err::write(at("start"), START).unwrap();
    fs_err::set_permissions(at("start"), std::fs::Permissions::from_mode(0o755)).unwrap();
    fs_err::write(at("version"), version).unwrap();
    let tar = at("image.tar");
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let packed =
        Command::new("tar").args(["-C", &path(folder.path()), "-cf", &path(&tar), "bin", "start", "version"]).status();
    assert!(packed.unwrap().success());
    docker_says(&["import", "--change", "CMD [\"/start\"]", &path(&tar), &format!("{IMAGE}:{version}")]);
}
