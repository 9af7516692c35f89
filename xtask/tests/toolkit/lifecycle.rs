//! A service from its first deploy to its stop, configured only by its deploy.yaml.

use testkit::{Project, toolkit, until};

#[test]
fn a_service_is_deployed_changed_rolled_back_stopped_and_deployed_again() {
    let project = Project::fixture();
    let first = project.head();
    assert!(project.ok(&["history"]).stderr.contains("cargo xtask deploy"));
    assert_eq!(project.ok(&["stop"]).stdout, "nothing was running\n");
    project.ok(&["deploy"]).says(&[
        "SIGNING_KEY is in .deploy/local/secrets.env",
        "first release",
        &format!("http://localhost:{}", project.port),
        "record",
    ]);
    assert_eq!(project.serves().as_deref(), Some(first.as_str()));
    let status = project.status();
    assert_eq!((status["version"].as_str(), status["ready"].as_bool()), (Some(first.as_str()), Some(true)));
    assert_eq!(status["record"]["outcome"], "live");

    let second = project.commit("Second");
    let third = project.commit("Third");
    assert!(project.ok(&["deploy", "local"]).stderr.contains(&format!("{first} → {third}")));
    let fourth = project.commit("Fourth");
    project.ok(&["deploy"]).says(&["undo", &third]);
    assert_eq!(project.serves(), Some(fourth.clone()));

    project.ok(&["rollback"]);
    assert_eq!(project.serves(), Some(third.clone()));
    project.ok(&["rollback"]);
    assert_eq!(project.serves(), Some(first.clone()));
    project.run(&["rollback"]).expect(2).says(&["no release before", "rollback --to", &third]);
    project.ok(&["rollback", "--to", &fourth[..6]]);
    assert_eq!(project.serves(), Some(fourth.clone()));
    project.run(&["rollback", "--to", &second]).expect(2).says(&["no other release", &third, "cargo xtask history"]);

    let outcomes: Vec<_> =
        project.records().iter().map(|record| format!("{} {}", record["kind"], record["source"]["version"])).collect();
    let expected = [
        ("rollback", &fourth),
        ("rollback", &first),
        ("rollback", &third),
        ("deploy", &fourth),
        ("deploy", &third),
        ("deploy", &first),
    ];
    assert_eq!(outcomes, expected.map(|(kind, version)| format!("\"{kind}\" \"{version}\"")));
    let listed = project.ok(&["history", "-n", "2"]).stdout;
    assert_eq!(listed.lines().count(), 2);
    assert!(listed.lines().next().unwrap().contains("serves"), "{listed}");

    let log = project.ok(&["logs", "-n", "1000"]).stdout;
    assert!(log.contains(&format!("{first} begins, ready")) && log.contains("drained"), "{log}");
    assert_eq!(project.ok(&["logs", "-n", "1"]).stdout.lines().count(), 1);

    assert_eq!(project.ok(&["stop"]).stdout, "stopped: the service\n");
    assert_eq!(project.processes(), []);
    project.run(&["status"]).expect(31).says(&["no release of local runs", "cargo xtask deploy local"]);
    project.ok(&["deploy"]);
    assert_eq!(project.serves(), Some(fourth));
}

#[test]
fn a_release_that_already_serves_is_not_deployed_again() {
    let project = Project::fixture();
    project.ok(&["deploy"]);
    let (records, services) = (project.records(), project.services());
    project.ok(&["deploy"]).says(&["unchanged"]);
    project.ok(&["deploy", "--resume"]).says(&["unchanged"]);
    assert_eq!(project.records(), records);
    assert_eq!(project.services(), services);
    assert!(project.ok(&["lock", "status"]).stdout.contains("is free"));
}

#[test]
fn another_setting_of_the_same_commit_is_a_deploy() {
    let project = Project::fixture();
    project.ok(&["deploy"]);
    assert_eq!(project.get("/greeting").as_deref(), Some("hello"));
    set_own(&project, "GREETING='good morning'\n");
    project.ok(&["deploy"]).says(&["setting GREETING: new"]);
    assert_eq!(project.get("/greeting").as_deref(), Some("good morning"));
    set_own(&project, "GREETING=hi\nAPI_TOKEN=a-token-of-some-length\n");
    project.ok(&["deploy"]).says(&["setting GREETING: changed", "secret API_TOKEN: new", "the same program"]);
    assert_eq!(project.get("/greeting").as_deref(), Some("hi"));
    project.ok(&["deploy"]).says(&["unchanged"]);
}

#[test]
fn the_order_of_records_is_the_order_of_deploys() {
    let project = Project::fixture();
    let mut versions = Vec::new();
    // Several deploys per second.
    for number in 0..8 {
        versions.insert(0, project.commit(&number.to_string()));
        project.ok(&["deploy"]);
    }
    let recorded: Vec<String> =
        project.records().iter().map(|record| record["source"]["version"].as_str().unwrap().to_owned()).collect();
    assert_eq!(recorded, versions);
}

#[test]
fn a_dirty_tree_is_deployed_under_a_version_that_shows_it() {
    let project = Project::fixture();
    let head = project.head();
    project.write("notes.txt", "one");
    project.ok(&["deploy"]).says(&["with uncommitted changes"]);
    let one = project.serves().unwrap();
    assert!(one.starts_with(&format!("{head}-dirty-")), "{one}");
    project.write("notes.txt", "two");
    project.ok(&["deploy"]);
    let two = project.serves().unwrap();
    assert!(two.starts_with(&format!("{head}-dirty-")) && two != one, "{two}");
    let version = project.commit("Notes");
    project.ok(&["deploy"]);
    assert_eq!(project.serves(), Some(version));
}

#[test]
fn a_tree_that_changes_during_the_build_fails_it() {
    let project = Project::fixture();
    project.ok(&["deploy"]);
    let first = project.head();
    waiting_build(&project);
    project.commit("A build that waits");
    let mut deploy = project.start(&["deploy"]);
    deploy.must("build", "started");
    until("the build waits", || project.root.join("target/waits").exists());
    project.write("notes.txt", "changed meanwhile");
    project.write("target/go", "");
    let ended = deploy.end().expect(1);
    assert!(ended.stderr.contains("the tree changed while it was built: notes.txt\n"), "{}", ended.stderr);
    assert!(ended.stderr.contains("cargo xtask deploy local"), "{}", ended.stderr);
    assert_eq!(project.serves(), Some(first));
    assert_eq!(project.records()[0]["outcome"], "failed");
    project.ok(&["deploy"]);
}

#[test]
fn a_failing_build_shows_the_compilers_errors() {
    let project = Project::fixture();
    project.write("src/main.rs", "fn main() { let number: u8 = \"text\"; }");
    project.run(&["deploy"]).expect(1).says(&["build failed", "mismatched types", "src/main.rs:1"]);
    assert_eq!(project.records()[0]["outcome"], "failed");
    project.git(&["checkout", "--quiet", "src"]);
    project.ok(&["deploy"]);
}

#[test]
fn the_commands_work_from_a_folder_below_the_root() {
    let project = Project::fixture();
    let mut command = project.command(&["deploy"]);
    command.current_dir(project.root.join("src"));
    assert!(command.output().unwrap().status.success());
    assert_eq!(project.serves(), Some(project.head()));
}

#[test]
fn version_and_help_need_no_project() {
    let folder = tempfile::tempdir().unwrap();
    for args in [&["--version"][..], &["deploy", "--help"], &["completions", "bash"]] {
        let output = std::process::Command::new(toolkit()).args(args).current_dir(&folder).output().unwrap();
        assert!(output.status.success() && !output.stdout.is_empty(), "{args:?}: {output:?}");
    }
}

/// Makes the build write its process id to `target/waits` and wait for `target/go`.
pub fn waiting_build(project: &Project) {
    let script = r#"
fn main() {
    println!("cargo::rerun-if-changed=src");
    std::fs::write("target/waits.new", std::process::id().to_string()).unwrap();
    std::fs::rename("target/waits.new", "target/waits").unwrap();
    while !std::path::Path::new("target/go").exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
"#;
    project.write("build.rs", script);
}

/// Writes `.env.local`, readable by its owner only.
pub fn set_own(project: &Project, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    project.write(".env.local", text);
    fs_err::set_permissions(project.root.join(".env.local"), std::fs::Permissions::from_mode(0o600)).unwrap();
}
