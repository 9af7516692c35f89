//! Output on a terminal, in a log, on GitHub, for a program, and without a reader.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::schema;
use testkit::{Project, Ran, skipped};

/// The events of a command, each checked against the schema.
fn events(project: &Project, args: &[&str], code: i32) -> Vec<Value> {
    let ended = project.start(args).end().expect(code);
    let schema: Value = serde_json::from_str(include_str!("../../schema/event.json")).unwrap();
    for event in &ended.events {
        schema::check(&schema, event).unwrap_or_else(|wrong| panic!("{args:?}: {event}: {wrong}"));
    }
    if code == 0 {
        assert_eq!(ended.stderr, "", "people hear of errors only");
    } else {
        assert!(ended.stderr.starts_with("error: "), "{}", ended.stderr);
    }
    ended.events
}

#[test]
fn every_event_of_every_command_matches_the_schema() {
    let project = Project::fixture();
    events(&project, &["logs"], 1);
    events(&project, &["history"], 0);
    events(&project, &["deploy", "--dry-run"], 0);
    let deploy = events(&project, &["deploy"], 0);
    let of = |state: &str| deploy.iter().filter(|event| event["state"] == state).count();
    assert_eq!((of("started"), of("finished"), of("result")), (11, 10, 1));
    assert!(deploy.windows(2).all(|pair| pair[0]["time"].as_str() <= pair[1]["time"].as_str()));
    project.write("notes", "");
    events(&project, &["deploy"], 0);
    events(&project, &["deploy"], 0);
    events(&project, &["rollback"], 0);
    for args in [
        &["status"][..],
        &["history"],
        &["logs"],
        &["doctor"],
        &["lock", "status"],
        &["lock", "break"],
        &["setup", "--dry-run"],
    ] {
        let events = events(&project, args, 0);
        assert!(events.iter().any(|event| event["state"] == "result"), "{args:?}: {events:#?}");
    }
    project.write("src/behaviour.txt", "exits");
    let failed = events(&project, &["deploy"], 30);
    let error = failed.iter().find(|event| event["state"] == "error").unwrap();
    assert!(error["detail"]["causes"].as_array().unwrap().len() > 1, "{error}");
    events(&project, &["deploy", "nowhere"], 2);
    events(&project, &["render", "--check"], 1);
    events(&project, &["stop"], 0);
}

#[test]
fn messages_are_on_standard_error_and_results_on_standard_output() {
    let project = Project::fixture();
    let ran = project.ok(&["deploy"]);
    assert_eq!(ran.stdout, "");
    assert!(!ran.stderr.contains(['\x1b', '\r']), "{:?}", ran.stderr);
    assert_eq!(ran.stderr.lines().filter(|line| line.trim_start().starts_with('✓')).count(), 10, "{}", ran.stderr);
    for args in [&["status"][..], &["history"], &["logs"], &["lock", "status"], &["doctor"]] {
        let ran = project.ok(args);
        assert!(!ran.stdout.is_empty() && ran.stderr.is_empty(), "{args:?}: {ran:?}");
    }
}

#[test]
fn on_github_every_step_is_a_group_and_an_error_is_an_annotation() {
    let project = Project::fixture();
    let github = |args: &[&str]| Ran::of(project.command(args).env("GITHUB_ACTIONS", "true").env("CI", "true"));
    let ran = github(&["deploy"]).expect(0).says(&["::group::build", "Compiling fixture"]);
    assert_eq!(testkit::groups(&ran.stderr), 10);
    project.gate(1);
    project.commit_behaviour("unready");
    let ran = github(&["deploy"]).expect(30).says(&["::error::", "the moon is down"]);
    testkit::groups(&ran.stderr);
    let annotation = ran.stderr.lines().find(|line| line.starts_with("::error")).unwrap();
    assert!(annotation.contains("the moon is down") && annotation.contains("%0A"), "{annotation}");
    assert_eq!(ran.stdout, "");

    project.write("src/main.rs", "fn main() { 100% wrong }");
    let ran = github(&["deploy"]).expect(1);
    testkit::groups(&ran.stderr);
    let annotation = ran.stderr.lines().find(|line| line.starts_with("::error")).unwrap();
    assert!(annotation.contains("100%25 wrong"), "{annotation}");
}

#[test]
fn on_github_a_mistake_in_deploy_yaml_is_annotated_where_it_is() {
    let project = Project::fixture();
    project.edit("deploy.yaml", "project: fixture", "project: fixture\nprojekt: x");
    let ran = Ran::of(project.command(&["status"]).env("GITHUB_ACTIONS", "true")).expect(2);
    let annotation = ran.stderr.lines().find(|line| line.starts_with("::error")).unwrap();
    assert!(annotation.starts_with("::error file=deploy.yaml,line=2,col=1::"), "{annotation}");
    assert!(annotation.contains("projekt"), "{annotation}");
}

/// The output of a command on a terminal.
fn in_a_terminal(project: &Project, args: &[&str], no_color: bool) -> Option<String> {
    if !Path::new("/usr/bin/script").exists() {
        return None;
    }
    let line = format!("{} {}", project.toolkit.display(), args.join(" "));
    let plain = project.command(&[]);
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).current_dir(&project.root).env("TERM", "xterm-256color");
    for (name, _) in plain.get_envs() {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    if no_color {
        command.env("NO_COLOR", "1");
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_terminal_shows_live_lines_and_ends_with_the_summary() {
    let project = Project::fixture();
    let Some(shown) = in_a_terminal(&project, &["deploy"], false) else {
        return skipped("a_terminal_shows_live_lines_and_ends_with_the_summary", "there is no script");
    };
    assert!(shown.contains("\x1b[32m✓\x1b[0m"), "{shown:?}");
    let summary: Vec<&str> = shown.trim_end().lines().rev().take(3).collect();
    let last = "cargo xtask open local, cargo xtask status local, cargo xtask logs -f local";
    assert!(summary[0].contains(last) && summary[1].contains("secrets") && summary[2].contains("live"), "{shown:?}");
    assert!(summary[2].contains(&format!("http://localhost:{}   {}", project.port, project.head())), "{shown:?}");
    project.write("notes", "");
    let shown = in_a_terminal(&project, &["deploy"], true).unwrap();
    assert!(shown.contains('✓') && !shown.contains("\x1b[32m"), "{shown:?}");
    assert!(shown.trim_end().lines().last().unwrap().contains("undo"), "{shown:?}");
}

#[test]
fn a_closed_standard_output_neither_stops_a_command_nor_panics() {
    let project = Project::fixture();
    for args in [
        &["deploy", "--json"][..],
        &["status"],
        &["history"],
        &["logs"],
        &["--version"],
        &["--help"],
        &["completions", "bash"],
    ] {
        let mut child = project.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The pipe is never read.
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let status = child.wait().unwrap();
        assert!(status.success() && !said.contains("panicked"), "{args:?}: {status}\n{said}");
    }
    assert_eq!(project.serves(), Some(project.head()));
}

#[test]
fn a_closed_standard_error_does_not_stop_a_deploy() {
    let project = Project::fixture();
    let mut child = project.command(&["deploy"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert!(child.wait().unwrap().success());
    assert_eq!(project.serves(), Some(project.head()));
}
