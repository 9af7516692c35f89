//! This machine's Docker engine, an image to run in it, and what of a test is there.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::world::{Ran, World};

/// An image that serves its version and what it was told.
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

/// A stand-in with the engine, and images to run.
pub fn open(more: &[(&'static str, String)]) -> Option<World> {
    if !docker(&["version"]).output().is_ok_and(|output| output.status.success()) {
        testkit::skipped(&testkit::test_name(), "no Docker engine answers; install one: cargo xtask setup --docker");
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
pub fn container(world: &World) -> Value {
    let all = containers(&world.state());
    let [only] = &all[..] else { panic!("{all:?}") };
    serde_json::from_str::<Value>(&docker_says(&["inspect", only])).unwrap()[0].take()
}

/// What is answered there, which must be well.
pub fn get(address: &str, path: &str) -> String {
    let answer = devservers::http::ask(address, "GET", path, &[], "").unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.head);
    answer.text().trim_end_matches(|c| path == "/version" && c == '\n').to_owned()
}

/// Its client.
pub fn docker(args: &[&str]) -> Command {
    let mut docker = Command::new("docker");
    docker.args(args);
    docker
}

/// What it says, when it must succeed.
#[track_caller]
pub fn docker_says(args: &[&str]) -> String {
    let ran = Ran::of(docker(args).output().unwrap());
    assert_eq!(ran.code, 0, "{args:?}: {}", ran.said);
    ran.out.trim().to_owned()
}

/// Makes a version of the image, of a static shell, unless the engine has it.
fn import(version: &str) {
    let name = format!("{IMAGE}:{version}");
    let made_of = hex::encode(Sha256::digest(START));
    let there = Ran::of(docker(&["image", "inspect", "--format", "{{.Comment}}", &name]).output().unwrap());
    if there.out.contains(&made_of) {
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
    docker_says(&["import", "--message", &made_of, "--change", "CMD [\"/start\"]", &path(&tar), &name]);
}
