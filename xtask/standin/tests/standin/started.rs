//! The stand-in as a plugin that OpenTofu starts, and a stack with its committed lock file.

use std::os::unix::fs::PermissionsExt as _;

use super::life::SERVICE;
use super::world::{Ran, World, alone, can};
use devservers::standin::schema;

#[test]
fn opentofu_starts_it_from_a_mirror() {
    if can().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let platform = if cfg!(target_arch = "aarch64") { "linux_arm64" } else { "linux_amd64" };
    let mirror = folder.path().join("mirror/mirror.example/scaleway/scaleway/2.81.0").join(platform);
    fs_err::create_dir_all(&mirror).unwrap();
    let plugin = mirror.join("terraform-provider-scaleway_v2.81.0");
    fs_err::copy(env!("CARGO_BIN_EXE_standin"), &plugin).unwrap();
    fs_err::set_permissions(&plugin, std::fs::Permissions::from_mode(0o755)).unwrap();
    let settings = format!(
        "provider_installation {{\n  filesystem_mirror {{\n    path = {:?}\n  }}\n}}\n",
        folder.path().join("mirror")
    );
    fs_err::write(folder.path().join("tofurc"), settings).unwrap();
    let stack = folder.path().join("stack");
    fs_err::create_dir(&stack).unwrap();
    let required = "terraform {\n  required_providers {\n    scaleway = { source = \"mirror.example/scaleway/scaleway\" }\n  }\n}\n";
    fs_err::write(stack.join("main.tf"), format!("{required}{SERVICE}")).unwrap();
    let run = |args: &[&str]| {
        let mut command = alone(&stack, args);
        command.env("TF_CLI_CONFIG_FILE", folder.path().join("tofurc"));
        command.env("STANDIN_SCHEMA", schema("scaleway.json")).env("STANDIN_STATE", folder.path().join("state"));
        let rules = [schema("scaleway.rules.json"), schema("scaleway.standin.json")];
        command.env("STANDIN_RULES", rules.map(|file| file.display().to_string()).join(","));
        let ran = Ran::of(command.output().unwrap());
        assert_eq!(ran.code, 0, "{args:?}: {}", ran.said);
        ran
    };
    run(&["init", "-input=false"]);
    assert!(run(&["apply", "-auto-approve", "-input=false"]).said.contains("6 added"));
    assert!(run(&["plan", "-input=false", "-detailed-exitcode"]).said.contains("No changes."));
    // Its settings came through, over TLS.
    assert!(run(&["output", "-raw", "address"]).out.contains(".nl-ams."));
    run(&["destroy", "-auto-approve", "-input=false"]);
}

#[test]
fn a_committed_lock_file_stays_as_it_is() {
    let Some(world) = World::new() else { return };
    let stack = world.bare(SERVICE);
    // `provider[<host>/scaleway/scaleway]`: which registry is the usual one is OpenTofu's to know.
    let known = stack.ok(&["providers"]).out;
    let address = known.split(['[', ']']).find(|part| part.ends_with("/scaleway/scaleway")).unwrap();
    let lock = format!(
        "provider {address:?} {{\n  version     = \"2.81.0\"\n  constraints = \"2.81.0\"\n  \
                hashes = [\n    \"h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\n  ]\n}}\n"
    );
    let file = stack.path().join(".terraform.lock.hcl");
    fs_err::write(&file, &lock).unwrap();
    stack.ok(&["init", "-input=false", "-lockfile=readonly"]);
    assert_eq!(stack.apply().code, 0);
    assert_eq!(fs_err::read_to_string(&file).unwrap(), lock);
}

#[test]
fn it_ends_with_whoever_holds_its_standard_input() {
    let Some(mut world) = World::new() else { return };
    // As the parent's end would, whatever ends it.
    world.let_go();
    assert_eq!(world.ended(), Some(0));
}

#[test]
fn a_dump_or_rules_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.json");
    fs_err::write(&rules, "{ \"scaleway_container\": { \"force_nwe\": [] } }").unwrap();
    let run = |schema: &std::path::Path, rules: &std::path::Path| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_standin"));
        command.arg("--schema").arg(schema).arg("--rules").arg(rules).arg("--state").arg(folder.path());
        Ran::of(command.output().unwrap())
    };
    let ran = run(&schema("scaleway.json"), &rules);
    assert!(ran.code == 1 && ran.said.contains("rules.json") && ran.said.contains("force_nwe"), "{}", ran.said);
    let ran = run(&rules, &schema("scaleway.rules.json"));
    assert!(ran.code == 1 && ran.said.contains("is no dump of `tofu providers schema -json`"), "{}", ran.said);
}
