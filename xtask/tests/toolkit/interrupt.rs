//! Ctrl-C and SIGTERM: started processes end, the lease is released, and the next command is shown.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;

use testkit::machine::{lives, signal_group};
use testkit::{Project, Running, until};

/// The receiver of the signal.
#[derive(Clone, Copy)]
enum To {
    Process,
    Group,
}

fn send(deploy: &Running, to: To, signal: Signal) {
    match to {
        To::Process => deploy.signal(signal),
        To::Group => signal_group(deploy.pid(), signal),
    }
}

/// Checks that the deploy was aborted cleanly, names the next command and leaves no process.
fn ended_in_order(project: &Project, deploy: Running, processes: usize) {
    let ended = deploy.end().expect(1);
    assert!(ended.stderr.contains("interrupted by"), "{}", ended.stderr);
    assert!(ended.stderr.contains("cargo xtask deploy local --resume"), "{}", ended.stderr);
    until("what it started is gone", || project.processes().len() == processes);
    assert_eq!(project.ok(&["lock", "status"]).stdout, "local is free\n");
    let record = &project.records()[0];
    assert_eq!(record["outcome"], "aborted", "{record:#}");
}

fn in_the_build(to: To, signal: Signal) {
    let project = Project::fixture();
    project.ok(&["deploy"]);
    let first = project.head();
    crate::lifecycle::waiting_build(&project);
    let version = project.commit("A build that waits");
    let mut deploy = project.start(&["deploy"]);
    deploy.must("build", "started");
    until("the build waits", || project.root.join("target/waits").exists());
    let script: u32 = project.read("target/waits").parse().unwrap();
    assert!(lives(script));
    send(&deploy, to, signal);
    ended_in_order(&project, deploy, 2);
    assert!(!lives(script));
    assert_eq!(project.serves(), Some(first));
    project.write("target/go", "");
    let resumed = project.start(&["deploy", "--resume"]).end().expect(0);
    assert_eq!(resumed.steps("reused"), ["source"]);
    assert_eq!(project.serves(), Some(version));
}

fn in_the_gate(to: To, signal: Signal) {
    let project = Project::fixture();
    project.ok(&["deploy"]);
    let first = project.head();
    let version = project.commit_behaviour("waits");
    let mut deploy = project.start(&["deploy"]);
    deploy.must("gate", "started");
    until("the new release runs", || project.services().len() == 2);
    send(&deploy, to, signal);
    ended_in_order(&project, deploy, 2);
    assert_eq!(project.serves(), Some(first));
    fs_err::write(project.deployed("data/data/go"), "").unwrap();
    let resumed = project.start(&["deploy", "--resume"]).end().expect(0);
    assert_eq!(resumed.steps("reused"), ["source", "build", "publish"]);
    assert_eq!(project.serves(), Some(version));
}

#[test]
fn ctrl_c_at_the_build() {
    in_the_build(To::Group, Signal::INT);
}

#[test]
fn sigint_to_the_process_alone_at_the_build() {
    in_the_build(To::Process, Signal::INT);
}

#[test]
fn sigterm_at_the_build() {
    in_the_build(To::Process, Signal::TERM);
}

#[test]
fn ctrl_c_at_the_gate() {
    in_the_gate(To::Group, Signal::INT);
}

#[test]
fn sigint_to_the_process_alone_at_the_gate() {
    in_the_gate(To::Process, Signal::INT);
}

#[test]
fn sigterm_at_the_gate() {
    in_the_gate(To::Process, Signal::TERM);
}

#[test]
fn a_terminal_that_is_closed_at_the_gate() {
    in_the_gate(To::Group, Signal::HUP);
}

#[test]
fn a_deploy_under_nohup_outlives_its_terminal() {
    let project = Project::fixture();
    let version = project.commit_behaviour("waits");
    let plain = project.command(&[]);
    let mut ignoring = std::process::Command::new("sh");
    ignoring.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(&project.toolkit).args(["deploy", "--json"]);
    ignoring.current_dir(&project.root).stdin(std::process::Stdio::null());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => ignoring.env(name, value),
            None => ignoring.env_remove(name),
        };
    }
    let mut deploy = Running::start(&mut ignoring);
    deploy.must("gate", "started");
    deploy.signal(Signal::HUP);
    fs_err::create_dir_all(project.deployed("data/data")).unwrap();
    fs_err::write(project.deployed("data/data/go"), "").unwrap();
    deploy.end().expect(0);
    assert_eq!(project.serves(), Some(version));
}

#[test]
fn an_interrupted_first_deploy_leaves_nothing_that_serves() {
    let project = Project::fixture();
    project.commit_behaviour("waits");
    let mut deploy = project.start(&["deploy"]);
    deploy.must("gate", "started");
    deploy.signal(Signal::INT);
    let ended = deploy.end().expect(1);
    assert!(ended.stderr.contains("--resume"), "{}", ended.stderr);
    until("nothing of it runs", || project.processes().is_empty());
}

#[test]
fn an_interrupted_rollback_names_the_next_command() {
    let project = Project::fixture();
    let first = project.commit_behaviour("waits");
    fs_err::create_dir_all(project.deployed("data/data")).unwrap();
    fs_err::write(project.deployed("data/data/go"), "").unwrap();
    project.ok(&["deploy"]);
    let second = project.commit_behaviour("ready");
    project.ok(&["deploy"]);
    fs_err::remove_file(project.deployed("data/data/go")).unwrap();
    let mut rollback = project.start(&["rollback"]);
    rollback.must("gate", "started");
    rollback.signal(Signal::INT);
    let ended = rollback.end().expect(1);
    assert!(ended.stderr.contains(&format!("cargo xtask rollback local --to {first}")), "{}", ended.stderr);
    assert_eq!(project.serves(), Some(second));
}

/// git runs the tree's filters, one of which may download. Nothing has begun then, and nothing is kept.
#[test]
fn what_waits_for_git_before_a_deploy_begins_is_interrupted() {
    let project = Project::fixture();
    let programs = tempfile::tempdir().unwrap();
    let (git, asked) = (programs.path().join("git"), programs.path().join("asked"));
    fs_err::write(&git, format!("#!/bin/sh\n: >'{}'\nexec sleep 600\n", asked.display())).unwrap();
    fs_err::set_permissions(&git, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", programs.path().display(), std::env::var("PATH").unwrap());
    for args in [&["deploy"][..], &["deploy", "--dry-run"]] {
        let deploy = Running::start(project.command(args).arg("--json").env("PATH", &path));
        until("git is asked", || asked.exists());
        deploy.signal(Signal::TERM);
        let ended = deploy.end().expect(1);
        assert!(ended.stderr.contains("interrupted by SIGTERM; nothing was changed"), "{}", ended.stderr);
        fs_err::remove_file(&asked).unwrap();
    }
}

/// Its records are in a bucket, whose server does not answer.
#[test]
fn a_rollback_that_waits_for_its_records_is_interrupted() {
    if !cfg!(feature = "cloud") {
        return;
    }
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let project = Project::of("fixture", |project| {
        let state =
            format!("bucket: states, region: eu, provider: other, endpoint: 'http://{}'", server.local_addr().unwrap());
        let production = format!(
            "\n  production: {{ target: scaleway, registry: 'rg.example.com/shop', stack: infra, state: {{ {state} }} }}\n"
        );
        project.write("deploy.yaml", &(project.read("deploy.yaml") + &production));
        project.write("infra/main.tf", "");
    });
    let keys = [("AWS_ACCESS_KEY_ID", "AK"), ("AWS_SECRET_ACCESS_KEY", "not a key")];
    let rollback = Running::start(project.command(&["rollback", "production", "--json"]).envs(keys));
    let _asked = server.accept().unwrap();
    rollback.signal(Signal::INT);
    let ended = rollback.end().expect(1);
    assert!(ended.stderr.contains("interrupted by Ctrl-C; nothing was changed"), "{}", ended.stderr);
}
