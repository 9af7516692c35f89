//! `kill -9` of the toolkit at every step: finished steps are not repeated, and no process or file is left behind.

use std::collections::HashSet;

use serde_json::Value;

use testkit::Ended;
use testkit::{Project, machine, sample, until};

/// The steps of a deploy in order, and whether their result outlives the process.
const STEPS: [(&str, bool); 10] = [
    ("preflight", false),
    ("source", true),
    ("provision", false),
    ("build", true),
    ("publish", true),
    ("plan", false),
    ("apply", false),
    ("gate", false),
    ("switch", true),
    ("record", false),
];

/// Checks that one process serves the live release, and that no other is left.
fn in_order(project: &Project, version: &str) {
    assert_eq!(project.serves().as_deref(), Some(version));
    until("only the service and its supervisor run", || project.processes().len() == 2);
    assert_eq!(project.services().len(), 1, "{:#?}", project.processes());
    let status = project.status();
    assert_eq!(status["supervisor"]["instances"].as_array().unwrap().len(), 1, "{status:#}");
    assert_eq!(status["record"]["source"]["version"], version, "{status:#}");
    assert_eq!(status["record"]["outcome"], "live");
    assert_eq!((&status["unfinished"], &status["locked_by"]), (&Value::Bool(false), &Value::Null));
    let records = project.records();
    assert_eq!(records[0]["id"], status["record"]["id"], "{records:#?}");
    let ids: HashSet<&str> = records.iter().map(|record| record["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), records.len());
    let record = &records[0];
    assert!(record["digest"].is_string() && record["inputs"].is_string(), "{record:#}");
    assert_eq!(record["migrations"].as_array().unwrap().len(), 1, "{record:#}");
    assert!(record["settings"]["DATA_DIR"].is_string(), "{record:#}");
    let journal = project.deployed("journal.jsonl");
    assert!(!journal.exists(), "{}", fs_err::read_to_string(journal).unwrap());
}

/// Kills a deploy of a new version at each of these moments, and resumes it with `--resume`.
fn killed_and_resumed(state: &str, steps: &[(&str, bool)]) {
    let project = Project::fixture();
    project.ok(&["deploy"]);
    for (step, _) in sample(steps, 2) {
        let version = project.commit(&format!("Killed when {step} has {state}"));
        let mut deploy = project.start(&["deploy"]);
        deploy.must(step, state);
        let events = deploy.kill();
        // It may have been killed after it had written its record and before it could say so.
        let recorded = project.records()[0]["source"]["version"] == version.as_str();
        let resumed = project.start(&["deploy", "--resume"]).end().expect(0);
        let context = || format!("killed when {step} had {state}; events: {:#?}", resumed.events);
        let finished = |step: &str| events.iter().any(|event| event["step"] == step && event["state"] == "finished");
        for (earlier, outlives) in STEPS {
            if outlives && finished(earlier) && !recorded {
                assert!(resumed.steps("reused").contains(&earlier), "{earlier} is not reused, {}", context());
                assert!(!resumed.steps("finished").contains(&earlier), "{earlier} is done again, {}", context());
            }
        }
        in_order(&project, &version);
        project.ok(&["deploy"]).says(&["unchanged"]);
    }
}

#[test]
fn after_the_end_of_each_early_step_a_deploy_is_resumed() {
    killed_and_resumed("finished", &STEPS[..5]);
}

#[test]
fn after_the_end_of_each_late_step_a_deploy_is_resumed() {
    killed_and_resumed("finished", &STEPS[5..]);
}

#[test]
fn in_each_early_step_a_deploy_is_resumed() {
    killed_and_resumed("started", &STEPS[..5]);
}

#[test]
fn in_each_late_step_a_deploy_is_resumed() {
    killed_and_resumed("started", &STEPS[5..]);
}

#[test]
fn a_first_deploy_is_resumed_after_every_step() {
    for (step, _) in sample(&STEPS, 3) {
        let project = Project::fixture();
        let mut deploy = project.start(&["deploy"]);
        deploy.must(step, "finished");
        deploy.kill();
        project.ok(&["deploy", "--resume"]);
        in_order(&project, &project.head());
    }
}

#[test]
fn a_plain_deploy_works_at_once_and_records_the_killed_one_as_aborted() {
    let project = Project::fixture();
    project.ok(&["deploy"]);
    for step in sample(&["source", "build", "publish", "apply", "gate"], 2) {
        let version = project.commit(step);
        let mut deploy = project.start(&["deploy"]);
        deploy.must(step, "finished");
        deploy.kill();
        project.ok(&["deploy"]).says(&["took the lease over", "interrupted"]);
        in_order(&project, &version);
        let killed = &project.records()[1];
        assert_eq!(killed["outcome"], "aborted", "{step}: {killed:#}");
        assert!(killed["error"].as_str().unwrap().contains("without a record"), "{killed:#}");
    }
}

#[test]
fn a_build_that_is_killed_leaves_no_compiler_and_no_half_release() {
    let project = Project::fixture();
    crate::lifecycle::waiting_build(&project);
    let version = project.commit("A build that waits");
    let mut deploy = project.start(&["deploy"]);
    deploy.must("build", "started");
    until("the build waits", || project.root.join("target/waits").exists());
    deploy.kill();
    project.write("target/go", "");
    let resumed = project.start(&["deploy", "--resume"]).end().expect(0);
    assert_eq!(resumed.steps("reused"), ["source"]);
    in_order(&project, &version);
}

#[test]
fn a_rollback_is_killed_and_the_next_command_works() {
    let project = Project::fixture();
    let first = project.head();
    project.ok(&["deploy"]);
    let second = project.commit("Second");
    project.ok(&["deploy"]);
    for step in ["provision", "apply", "gate"] {
        let mut rollback = project.start(&["rollback"]);
        rollback.must(step, "finished");
        rollback.kill();
        assert_eq!(project.serves(), Some(second.clone()));
    }
    project.ok(&["rollback"]);
    assert_eq!(project.serves(), Some(first));
    let kinds: Vec<String> =
        project.records().iter().map(|record| format!("{} {}", record["kind"], record["outcome"])).collect();
    let aborted = "\"rollback\" \"aborted\"";
    assert_eq!(kinds[..4], ["\"rollback\" \"live\"", aborted, aborted, aborted]);
}

#[test]
fn a_setting_that_changed_after_the_switch_does_not_count_as_deployed() {
    let project = Project::fixture();
    let mut deploy = project.start(&["deploy"]);
    deploy.must("switch", "finished");
    deploy.kill();
    crate::lifecycle::set_own(&project, "GREETING=salut\n");
    project.ok(&["deploy", "--resume"]);
    assert_eq!(project.get("/greeting").as_deref(), Some("salut"));
    in_order(&project, &project.head());
    assert_eq!(project.records()[0]["settings"]["GREETING"], "salut");
}

#[test]
fn a_step_whose_result_was_deleted_is_repeated() {
    let project = Project::fixture();
    let version = project.head();
    let mut deploy = project.start(&["deploy"]);
    deploy.must("plan", "finished");
    deploy.kill();
    fs_err::write(project.deployed(&format!("releases/{version}/bin/fixture")), "damaged").unwrap();
    let resumed = project.start(&["deploy", "--resume"]).end().expect(0);
    assert_eq!(resumed.steps("reused"), ["source", "build"]);
    in_order(&project, &version);
}

#[test]
fn steps_with_changed_inputs_are_repeated() {
    let project = Project::fixture();
    let mut deploy = project.start(&["deploy"]);
    deploy.must("publish", "finished");
    deploy.kill();
    let version = project.commit("Meanwhile");
    let resumed: Ended = project.start(&["deploy", "--resume"]).end().expect(0);
    assert_eq!(resumed.steps("reused"), Vec::<&str>::new());
    in_order(&project, &version);
}

#[test]
fn an_unusable_journal_is_ignored_with_a_note() {
    type Damage = fn(String) -> String;
    let cases: [(&str, Damage); 3] = [
        ("first line is damaged", |text| text[20..].to_owned()),
        ("toolkit 0.0.0", |text| text.replacen(env!("CARGO_PKG_VERSION"), "0.0.0", 1)),
        ("for elsewhere", |text| text.replacen("\"environment\":\"local\"", "\"environment\":\"elsewhere\"", 1)),
    ];
    let project = Project::fixture();
    for (says, damage) in cases {
        let version = project.commit(says);
        let mut deploy = project.start(&["deploy"]);
        deploy.must("publish", "finished");
        deploy.kill();
        let journal = project.deployed("journal.jsonl");
        fs_err::write(&journal, damage(fs_err::read_to_string(&journal).unwrap())).unwrap();
        let resumed = project.start(&["deploy", "--resume"]).end().expect(0);
        assert!(resumed.texts("warning").contains(says), "{says}: {:#?}", resumed.events);
        assert_eq!(resumed.steps("reused"), Vec::<&str>::new());
        in_order(&project, &version);
    }
}

#[test]
fn a_truncated_entry_does_not_damage_later_ones() {
    let project = Project::fixture();
    let version = project.head();
    let mut deploy = project.start(&["deploy"]);
    deploy.must("publish", "finished");
    deploy.kill();
    let journal = project.deployed("journal.jsonl");
    let text = fs_err::read_to_string(&journal).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    // Header, source, build, and the start of publish.
    fs_err::write(&journal, format!("{}\n{}\n{}\n{}", lines[0], lines[1], lines[2], &lines[3][..40])).unwrap();
    let mut again = project.start(&["deploy", "--resume"]);
    again.must("publish", "finished");
    again.kill();
    let resumed = project.start(&["deploy", "--resume"]).end().expect(0);
    assert_eq!(resumed.steps("reused"), ["source", "build", "publish"]);
    in_order(&project, &version);
}

#[test]
fn status_reports_an_unfinished_deploy_and_the_next_command() {
    let project = Project::fixture();
    let mut deploy = project.start(&["deploy"]);
    deploy.must("build", "finished");
    let pid = deploy.pid();
    deploy.kill();
    assert!(!machine::lives(pid));
    assert!(project.ok(&["status"]).stdout.contains("cargo xtask deploy local --resume"));
    project.ok(&["deploy", "--resume"]);
    assert!(!project.ok(&["status"]).stdout.contains("--resume"));
}
