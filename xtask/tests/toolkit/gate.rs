//! A release that does not report that it is ready never serves, and the previous release keeps serving.

use testkit::{Project, until};

/// Deploys a version with this behaviour while another one serves.
fn fails_over_a_good_one(behaviour: &str, says: &[&str]) {
    let project = Project::fixture();
    let good = project.head();
    project.ok(&["deploy"]);
    let services = project.services();
    project.gate(1);
    let bad = project.commit_behaviour(behaviour);
    project.run(&["deploy"]).expect(30).says(says).says(&[&format!("{good} serves as before"), "gate failed"]);
    assert_eq!(project.serves(), Some(good.clone()));
    assert_eq!(project.services(), services, "only the process of before runs, and it is the same one");
    let record = &project.records()[0];
    assert_eq!(record["outcome"], "restored");
    assert_eq!(record["source"]["version"], bad);
    assert!(record["error"].as_str().unwrap().contains(says[0]), "{record}");
    assert_eq!(project.status()["version"], good);
    let better = project.commit_behaviour("ready");
    project.ok(&["deploy"]).says(&[&format!("{good} → {better}")]);
    assert_eq!(project.serves(), Some(better));
}

#[test]
fn an_answer_of_503_fails_the_gate_with_its_reason() {
    fails_over_a_good_one("unready", &["the moon is down", "not ready within 1 s", "begins, unready"]);
}

#[test]
fn an_exit_fails_the_gate_with_the_last_output() {
    fails_over_a_good_one("exits", &["exit code 3", "cannot reach the moon"]);
}

#[test]
fn another_version_fails_the_gate() {
    fails_over_a_good_one("wrong-version", &["another-version answers instead of"]);
}

#[test]
fn a_service_that_listens_elsewhere_is_told_before_the_gate_closes() {
    let project = Project::fixture();
    // The toolkit itself listens on the public port, so the service gets another one.
    project.commit_behaviour("elsewhere");
    let says = ["it listens on 127.0.0.1:", "not on the socket that it was given (LISTEN_FDS)", "begins, elsewhere"];
    let ran = project.run(&["deploy"]).expect(31).says(&says).says(&["type: cargo xtask deploy local"]);
    for text in ["--resume", "not ready within", &format!("127.0.0.1:{}", project.port)] {
        assert!(!ran.stderr.contains(text), "it says {text}:\n{}", ran.stderr);
    }
}

#[test]
fn an_answer_that_is_no_readiness_is_told_what_was_expected() {
    let project = Project::fixture();
    project.gate(1);
    let version = project.commit_behaviour("plain");
    let expected = format!("expected JSON such as {{\"status\":\"ready\",\"version\":\"{version}\"}}");
    let ran = project.run(&["deploy"]).expect(31).says(&["answered 200 OK", "all is well", &expected]);
    assert!(!ran.stderr.contains("--resume"), "{}", ran.stderr);
}

#[test]
fn a_missing_answer_fails_the_gate() {
    fails_over_a_good_one("silent", &["no answer", "begins, silent"]);
}

#[test]
fn a_first_release_that_is_not_ready_leaves_nothing_running() {
    let project = Project::fixture();
    project.gate(1);
    project.commit_behaviour("unready");
    project.run(&["deploy"]).expect(31).says(&["the moon is down", "no previous one"]);
    assert_eq!(project.records()[0]["outcome"], "not-restored");
    assert_eq!(project.services(), []);
    assert!(!project.ok(&["status"]).stdout.contains("--resume"));
    until("the supervisor has gone too", || project.processes().is_empty());
    assert_eq!(project.status()["version"], serde_json::Value::Null);
    project.run(&["rollback"]).expect(2).says(&["nothing was deployed yet"]);

    let good = project.commit_behaviour("ready");
    project.ok(&["deploy"]);
    assert_eq!(project.serves(), Some(good));
}

#[test]
fn a_failed_release_is_no_rollback_target() {
    let project = Project::fixture();
    let good = project.head();
    project.ok(&["deploy"]);
    project.commit_behaviour("exits");
    project.run(&["deploy"]).expect(30);
    project.run(&["rollback"]).expect(2).says(&["only release"]);
    assert_eq!(project.serves(), Some(good));
}
