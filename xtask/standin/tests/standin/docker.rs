//! The Docker engine of this machine, and an image for tests.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::harness::{RunResult, TestProvider};

/// An image that serves its version and its variables over HTTP.
pub const IMAGE: &str = "standin-test-web";

const START: &str = r#"#!/bin/sh
mkdir -p /www
cp /version /www/version
printf %s "$SECRET" > /www/secret
printf %s "$OPEN $SHARED $BOTH $PORT" > /www/open
echo "this is version $(cat /version)"
trap 'sleep 1; exit 0' TERM
httpd -f -p "$PORT" -h /www &
wait
"#;

/// Starts the stand-in with the Docker backend. Skips the test if no engine answers.
pub fn start(more: &[(&str, String)]) -> Option<TestProvider> {
    require_engine()?;
    TestProvider::with(&[&[("STANDIN_DOCKER", "1".to_owned())], more].concat())
}

/// Skips the test if no engine answers. Imports the image otherwise.
pub fn require_engine() -> Option<()> {
    if !docker(&["version"]).output().is_ok_and(|output| output.status.success()) {
        testkit::skipped(&testkit::test_name(), "no Docker engine answers. Install one: cargo xtask setup --docker");
        return None;
    }
    static IMPORTED: OnceLock<()> = OnceLock::new();
    IMPORTED.get_or_init(|| ["1", "2"].into_iter().for_each(import_image));
    Some(())
}

/// The ids of the containers of a state folder.
pub fn containers(state: &Path) -> Vec<String> {
    let Ok(state) = state.canonicalize() else { return Vec::new() };
    let state_id = &hex::encode(Sha256::digest(state.as_os_str().as_encoded_bytes()))[..12];
    let filter = format!("label=standin.state={state_id}");
    docker_stdout(&["ps", "--all", "--quiet", "--filter", &filter]).lines().map(str::to_owned).collect()
}

pub fn remove_containers(state: &Path) {
    containers(state).iter().for_each(|id| drop(docker(&["rm", "--force", id]).output()));
}

/// The output of `docker inspect` for the only container of a stand-in.
pub fn container(provider: &TestProvider) -> Value {
    let all = containers(&provider.state());
    let [only] = &all[..] else { panic!("{all:?}") };
    serde_json::from_str::<Value>(&docker_stdout(&["inspect", only])).unwrap()[0].take()
}

/// The body of a response, whose status must be 200.
pub fn get(address: &str, path: &str) -> String {
    let answer = devservers::http::ask(address, "GET", path, &[], "").unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.head);
    answer.text().trim_end_matches(|c| path == "/version" && c == '\n').to_owned()
}

pub fn docker(args: &[&str]) -> Command {
    let mut docker = Command::new("docker");
    docker.args(args);
    docker
}

/// The output of a `docker` command that must succeed.
#[track_caller]
pub fn docker_stdout(args: &[&str]) -> String {
    let result = RunResult::of(docker(args).output().unwrap());
    assert_eq!(result.code, 0, "{args:?}: {}", result.output);
    result.stdout.trim().to_owned()
}

/// Imports a version of the image, with a statically linked busybox, unless the engine has it.
fn import_image(version: &str) {
    let name = format!("{IMAGE}:{version}");
    let digest = hex::encode(Sha256::digest(START));
    let existing = RunResult::of(docker(&["image", "inspect", "--format", "{{.Comment}}", &name]).output().unwrap());
    if existing.stdout.contains(&digest) {
        return;
    }
    drop(docker(&["rmi", "--force", &name]).output());
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs_err::create_dir_all(at("bin")).unwrap();
    fs_err::copy("/bin/busybox", at("bin/busybox")).expect("Debian's package busybox-static is installed");
    for name in ["cat", "cp", "httpd", "mkdir", "sh", "sleep"] {
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
    docker_stdout(&["import", "--message", &digest, "--change", "CMD [\"/start\"]", &path(&tar), &name]);
}
