//! Wrong usage and wrong configuration: exit code 2 and the place of the mistake.

use serde_json::json;
use testkit::{Project, Ran, toolkit};

#[test]
fn a_mistake_in_deploy_yaml_is_reported_with_file_line_column_and_key() {
    let cases = [
        ("port: 3999", "prot: 3999", "deploy.yaml:13:5: environments.local.prot: unknown key", "did you mean `port`"),
        ("target: local", "target: moon", "deploy.yaml:12:13: environments.local.target:", "local"),
        ("timeout: 30", "timeout: soon", "deploy.yaml:14:22: environments.local.gate.timeout:", "seconds"),
        ("  readiness: /ready\n", "", "service", "readiness"),
        ("project: fixture", "project: [", "deploy.yaml:", "not YAML"),
    ];
    for (from, to, place, says) in cases {
        let project = Project::fixture();
        let port = format!("port: {}", project.port);
        project.edit("deploy.yaml", &port, "port: 3999");
        project.edit("deploy.yaml", from, to);
        for args in [&["deploy"][..], &["status"], &["deploy", "--dry-run"]] {
            let ran = project.run(args).expect(2).says(&[place, says]);
            assert_eq!(ran.stdout, "");
        }
        assert!(!project.root.join(".deploy").exists());
    }
}

#[test]
fn an_unknown_environment_is_reported_with_the_known_ones() {
    let project = Project::fixture();
    for args in [
        &["deploy", "locla"][..],
        &["rollback", "locla"],
        &["status", "locla"],
        &["stop", "locla"],
        &["lock", "break", "locla"],
    ] {
        project.run(args).expect(2).says(&["there is no environment `locla`", "did you mean `local`"]);
    }
}

#[test]
fn an_unknown_setting_is_reported_with_its_place() {
    let project = Project::fixture();
    project.edit("deploy.yaml", "target: local", "target: local\n    settings: { GREETINGS: hi }");
    project.run(&["deploy"]).expect(1).says(&["deploy.yaml:13:17", "did you mean `GREETING`"]);
}

#[test]
fn a_missing_deploy_yaml_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    for args in [&["deploy"][..], &["status"], &["render", "--check"]] {
        let mut command = std::process::Command::new(toolkit());
        Ran::of(command.args(args).current_dir(&folder)).expect(2).says(&["there is no deploy.yaml", "error: "]);
    }
}

#[test]
fn wrong_arguments_are_reported() {
    let project = Project::fixture();
    for args in [&["depoly"][..], &["deploy", "--resume", "--dry-run"], &["history", "-n", "many"], &["lock"], &[]] {
        project.run(args).expect(2);
    }
    project.run(&["depoly"]).says(&["deploy"]);
}

/// A workflow may pass on a name that another person has chosen.
#[test]
fn an_argument_is_repeated_without_what_it_would_do_to_a_terminal_or_to_github() {
    let project = Project::fixture();
    let hostile = "x\u{1b}[2J\n::add-path::/tmp\n\u{202e}";
    for args in [&["deploy", "local", hostile][..], &[hostile]] {
        let ran = Ran::of(project.command(args).env("GITHUB_ACTIONS", "true")).expect(2);
        let (begin, end) = ran.stderr.split_once("::add-path::").expect("it is repeated");
        assert!(begin.contains("::stop-commands::") && !begin.contains('\u{1b}'), "{ran:?}");
        let token = begin.rsplit_once("::stop-commands::").unwrap().1.lines().next().unwrap();
        assert!(end.contains(&format!("\n::{token}::\n")) && !end.contains('\u{202e}'), "{ran:?}");
        let ran = project.run(args).expect(2);
        assert!(!ran.stderr.contains(['\u{1b}', '\u{202e}']), "{ran:?}");
    }
}

#[test]
fn an_unreadable_settings_json_fails_preflight() {
    let project = Project::fixture();
    project.edit("settings.json", "\"kind\": \"port\"", "\"kind\": \"harbour\"");
    project.run(&["deploy"]).expect(1).says(&["settings.json:", "harbour"]);
}

#[test]
fn test_without_the_checks_crate_names_the_command_that_tests_the_project() {
    let project = Project::fixture();
    for command in ["test", "bench"] {
        let said = project.run(&[command, "--only", "lint"]).expect(2).says(&["has no xtask/checks/Cargo.toml"]);
        said.type_it("type: ", &project.command(&[])).expect(0);
    }
}

#[test]
fn test_and_bench_pass_on_every_argument_and_the_exit_code() {
    let project = Project::fixture();
    fs_err::create_dir_all(project.root.join("xtask/checks")).unwrap();
    fs_err::write(project.root.join("xtask/checks/Cargo.toml"), "").unwrap();
    let script = |path: &str, text: &str| {
        project.write(path, &format!("#!/bin/sh\n{text}\n"));
        let path = project.root.join(path);
        fs_err::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        path
    };
    let metadata = json!({ "target_directory": project.root.join("target") });
    let cargo = script(
        "cargo.sh",
        &format!("case $1 in\nmetadata) echo '{metadata}' ;;\n*) pwd; printf '%s|' \"$@\"; echo ;;\nesac"),
    );
    script("target/debug/checks", "test -z \"$GIT_DIR\" || exit 9\nprintf '%s|' \"$@\"\nexit 7");
    for (args, handed) in [
        (&["test", "--only", "lint"][..], "test|--only|lint|"),
        (&["bench", "--help"], "bench|--help|"),
        (&["--json", "test", "--only", "lint"], "test|--json|--only|lint|"),
    ] {
        // As in a hook of git: the repository that it names is not that of the tests.
        let ran = Ran::of(project.command(args).env("CARGO", &cargo).env("GIT_DIR", "/nowhere")).expect(7);
        let expected = format!("{}\nbuild|--workspace|--bin|checks|\n{handed}", project.root.display());
        assert_eq!(ran.stdout, expected);
    }
    let cargo = script("broken.sh", "exit 101");
    Ran::of(project.command(&["test"]).env("CARGO", &cargo)).expect(1).says(&["cargo could not build `checks`"]);
}
