//! This repository's stacks on the stand-in: their own tests, and projects that use one as its README describes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::site::{PASSPHRASE, Site, cloud, write_env};
use crate::storage::Storage;
use testkit::{Ran, or_skip};

/// The variables of a release for the Scaleway stack, and the credentials of the zone.
const RELEASE: &str = r#"TF_VAR_image=rg.fr-par.scw.cloud/meemit/fixture@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
TF_VAR_release=3f9c2d1a4b7e
TF_VAR_secrets='{ DATABASE_URL = "postgres://a:sentinel@db.example.org/a" }'
TF_VAR_dns_access_key_id=AKZONE
TF_VAR_dns_secret_access_key=sentinel-zone-key
SCW_ACCESS_KEY=SCWXXXXXXXXXXXXXXXXX
SCW_SECRET_KEY=sentinel-of-scaleway
"#;

/// A project with the stack of this name and no resources yet. `None` if this machine cannot run the test.
pub fn site<S: Storage>(test: &str, stack: &str) -> Option<Site<S>> {
    let mut site = Site::with(test, |project, state| {
        // The stack reads the settings of this repository's service too.
        let deploy = project.read("deploy.yaml").replace("settings: settings.json", "settings: app/settings.json");
        project.write("deploy.yaml", &format!("{deploy}{}", production(stack, state)));
        copy(stack, &project.root);
        let release = if stack == "scaleway" { RELEASE } else { "CLOUDFLARE_API_TOKEN=sentinel-of-cloudflare\n" };
        write_env(&project.root, PASSPHRASE, release);
    })?;
    site.cloud = Some(cloud(&[]));
    Some(site)
}

/// The part of deploy.yaml from the stack's README, with another place for the state.
fn production(stack: &str, state: &str) -> String {
    let yaml = example(stack, 1);
    let own = yaml.lines().find(|line| line.starts_with("    state: ")).expect("it says where the state is");
    let yaml = yaml.replace(own, &format!("    {state}"));
    // The namespace does not exist before the stack.
    let yaml: String = yaml.split_inclusive('\n').filter(|line| !line.contains("registry_namespace_id:")).collect();
    let own = yaml.strip_prefix("environments:\n").expect("it is a whole environment");
    own.to_owned()
}

/// What the README of a stack shows of a deploy.yaml, by its place, the first is 1.
pub fn example(stack: &str, place: usize) -> String {
    let readme = fs_err::read_to_string(repository().join("infra").join(stack).join("README.md")).unwrap();
    let yaml = readme.split("```yaml\n").nth(place).and_then(|rest| rest.split("```").next()).expect("it is there");
    // A real key is longer than the one in the example.
    yaml.replace("\\n…\\n", "\\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\\n")
}

/// Copies the stack's files, and the files that they read.
pub fn copy(stack: &str, to: &Path) {
    let (from, to_stack) = (repository().join("infra").join(stack), to.join("infra").join(stack));
    for folder in ["", "tests", "tests/fixtures"].map(|name| (from.join(name), to_stack.join(name))) {
        let Ok(entries) = fs_err::read_dir(&folder.0) else { continue };
        fs_err::create_dir_all(&folder.1).unwrap();
        for entry in entries.map(|entry| entry.unwrap()).filter(|entry| entry.path().is_file()) {
            fs_err::copy(entry.path(), folder.1.join(entry.file_name())).unwrap();
        }
    }
    fs_err::create_dir_all(to.join("app")).unwrap();
    fs_err::copy(repository().join("app/settings.json"), to.join("app/settings.json")).unwrap();
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn the_tests_of_the_scaleway_stack_pass() {
    own_tests("the_tests_of_the_scaleway_stack_pass", "scaleway", 50);
}

#[test]
fn the_tests_of_the_aws_stack_pass() {
    own_tests("the_tests_of_the_aws_stack_pass", "aws", 33);
}

#[test]
fn the_tests_of_the_r2_stack_pass() {
    own_tests("the_tests_of_the_r2_stack_pass", "r2", 14);
}

/// Checks that the stack's files are formatted and valid, and that its own tests pass: at least `least` of them.
fn own_tests(test: &str, stack: &str, least: usize) {
    let Some(program) = or_skip(test, devservers::tofu::program()) else { return };
    let folder = tempfile::tempdir().unwrap();
    copy(stack, folder.path());
    let cloud = cloud(&[]);
    let run = |args: &[&str]| {
        let mut command = Command::new(&program);
        command.args(args).arg("-no-color").current_dir(folder.path().join("infra").join(stack));
        command.env_clear().env("HOME", folder.path()).env("TF_REATTACH_PROVIDERS", cloud.addresses());
        command.env("CHECKPOINT_DISABLE", "1").stdin(Stdio::null());
        let ran = Ran::of(&mut command);
        assert_eq!(ran.code, Some(0), "tofu {}: {}{}", args.join(" "), ran.stdout, ran.stderr);
        ran.stdout
    };
    run(&["fmt", "-check", "-recursive", "-diff"]);
    run(&["init", "-backend=false"]);
    run(&["validate"]);
    let said = run(&["test"]);
    let passed = said.lines().filter(|line| line.starts_with("  run ") && line.ends_with("... pass")).count();
    assert!(passed >= least, "{passed} of its tests ran, and it had {least} once: {said}");
}
