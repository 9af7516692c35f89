//! The stand-in as a process: started by OpenTofu, with a lock file, and with invalid arguments.

use std::os::unix::fs::PermissionsExt as _;

use devservers::standin::schema;

use super::harness::{RunResult, TestProvider, require_tofu, tofu_command};
use super::lifecycle::SERVICE;

#[test]
fn opentofu_starts_the_plugin_from_a_mirror() {
    if require_tofu().is_none() {
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
        let mut command = tofu_command(&stack, args);
        command.env("TF_CLI_CONFIG_FILE", folder.path().join("tofurc"));
        command.env("STANDIN_SCHEMA", schema("scaleway.json")).env("STANDIN_STATE", folder.path().join("state"));
        let rules = [schema("scaleway.rules.json"), schema("scaleway.standin.json")];
        command.env("STANDIN_RULES", rules.map(|file| file.display().to_string()).join(","));
        let result = RunResult::of(command.output().unwrap());
        assert_eq!(result.code, 0, "{args:?}: {}", result.output);
        result
    };
    run(&["init", "-input=false"]);
    assert!(run(&["apply", "-auto-approve", "-input=false"]).output.contains("6 added"));
    assert!(run(&["plan", "-input=false", "-detailed-exitcode"]).output.contains("No changes."));
    // The region is from the provider configuration, which OpenTofu sent over TLS.
    assert!(run(&["output", "-raw", "address"]).stdout.contains(".nl-ams."));
    run(&["destroy", "-auto-approve", "-input=false"]);
}

#[test]
fn a_committed_lock_file_stays_unchanged() {
    let Some(provider) = TestProvider::new() else { return };
    let stack = provider.stack_without_init(SERVICE);
    // The output contains `provider[<host>/scaleway/scaleway]`, with OpenTofu's default registry as the host.
    let known = stack.ok(&["providers"]).stdout;
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
fn the_provider_exits_when_its_standard_input_is_closed() {
    let Some(mut provider) = TestProvider::new() else { return };
    // The pipe is also closed when the parent process exits for any reason.
    provider.close_stdin();
    assert_eq!(provider.wait(), Some(0));
}

#[test]
fn errors_name_an_invalid_schema_or_rules_file() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.json");
    fs_err::write(&rules, "{ \"scaleway_container\": { \"force_nwe\": [] } }").unwrap();
    let run = |schema: &std::path::Path, rules: &std::path::Path| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_standin"));
        command.arg("--schema").arg(schema).arg("--rules").arg(rules).arg("--state").arg(folder.path());
        RunResult::of(command.output().unwrap())
    };
    let result = run(&schema("scaleway.json"), &rules);
    assert!(
        result.code == 1 && result.output.contains("rules.json") && result.output.contains("force_nwe"),
        "{}",
        result.output
    );
    let result = run(&rules, &schema("scaleway.rules.json"));
    assert!(
        result.code == 1 && result.output.contains("is not the output of `tofu providers schema -json`"),
        "{}",
        result.output
    );
}
