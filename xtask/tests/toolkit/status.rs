//! `status` of an environment that does not answer: it fails, and the command that it names helps.

use rustix::process::Signal;

use testkit::{Project, machine, until};

/// The command that `status` names, after the words `cargo xtask`.
fn fix(project: &Project) -> Vec<String> {
    let status = project.status();
    let fix = status["fix"].as_str().unwrap_or_else(|| panic!("{status:#}"));
    let command = fix.split("     ").next().unwrap();
    command.strip_prefix("cargo xtask ").unwrap().split(' ').map(str::to_owned).collect()
}

fn typed(project: &Project, command: &[String]) {
    project.ok(&command.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn what_was_never_deployed_is_not_down() {
    let project = Project::fixture();
    assert!(project.ok(&["status"]).stdout.contains("nothing yet; type: cargo xtask deploy local"));
}

#[test]
fn a_release_that_does_not_run_is_named_not_the_commit_that_is_checked_out() {
    let project = Project::fixture();
    let first = project.head();
    project.ok(&["deploy"]);
    project.ok(&["stop"]);
    project.run(&["status"]).expect(31);
    assert_eq!(fix(&project), ["deploy", "local"]);
    project.commit_behaviour("exits");
    assert_eq!(fix(&project), ["rollback", "local", "--to", &first]);
    typed(&project, &fix(&project));
    assert_eq!(project.serves(), Some(first.clone()));
    project.run(&["rollback", "--to", &first]).expect(2).says(&["serves already"]);
    project.ok(&["status"]);
}

#[test]
fn a_release_that_cannot_start_again_is_passed_over() {
    let project = Project::fixture();
    let first = project.head();
    project.ok(&["deploy"]);
    let second = project.commit("Second");
    project.ok(&["deploy"]);
    let program = project.deployed(&format!("releases/{second}/bin/fixture"));
    fs_err::write(program.with_extension("new"), "#!/bin/sh\nexit 9\n").unwrap();
    fs_err::set_permissions(program.with_extension("new"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    fs_err::rename(program.with_extension("new"), &program).unwrap();
    machine::signal(project.get("/pid").unwrap().parse().unwrap(), Signal::KILL);
    until("it is down", || project.status()["supervisor"]["instances"][0]["last_exit"]["code"] == 9);
    project.run(&["status"]).expect(31).says(&["is not ready", &format!("cargo xtask rollback local --to {first}")]);
    typed(&project, &fix(&project));
    assert_eq!(project.serves(), Some(first));
}

#[test]
fn a_failed_build_is_no_interruption() {
    let project = Project::fixture();
    project.ok(&["deploy"]);
    project.write("src/main.rs", "fn main() { nothing }");
    project.commit("Broken");
    project.run(&["deploy"]).expect(1);
    let status = project.ok(&["status"]).stdout;
    assert!(!status.contains("interrupted") && !status.contains("--resume"), "{status}");
    assert!(
        status.contains("the last run: build failed; when that is fixed, type: cargo xtask deploy local"),
        "{status}"
    );
}

#[test]
fn undo_after_a_rollback_is_the_release_that_was_left() {
    let project = Project::fixture();
    project.ok(&["deploy"]);
    project.commit("Second");
    project.ok(&["deploy"]);
    let third = project.commit("Third");
    project.ok(&["deploy"]);
    project.ok(&["rollback"]).says(&[&format!("undo     cargo xtask rollback local --to {third}")]);
    project.ok(&["rollback", "local", "--to", &third]);
    assert_eq!(project.serves(), Some(third));
}
