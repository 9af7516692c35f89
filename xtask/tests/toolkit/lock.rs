//! One deploy at a time: a second deploy is refused, and a deploy that lost the lease stops.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use rustix::process::Signal;

use testkit::{Ended, Project, Ran, Running, until};

/// A deploy that waits in its gate until [`go`].
fn waiting_deploy(project: &Project) -> Running {
    project.commit_behaviour("waits");
    let mut deploy = project.start(&["deploy", "--message", "the big one"]);
    deploy.must("gate", "started");
    deploy
}

fn go(project: &Project) {
    fs_err::write(project.deployed("data/data/go"), "").unwrap();
}

#[test]
fn a_second_deploy_is_refused_with_the_holder_and_the_next_command() {
    let project = Project::fixture();
    let deploy = waiting_deploy(&project);
    let pid = deploy.pid().to_string();
    let year = Timestamp::now().strftime("since 20%y-").to_string();
    let says = ["is locked", "the big one", &year, &pid, "cargo xtask lock break local"];
    for args in [&["deploy"][..], &["deploy", "--resume"], &["stop"]] {
        project.run(args).expect(20).says(&says);
    }
    assert!(project.ok(&["lock", "status"]).stdout.contains("the big one"));
    assert!(project.ok(&["status"]).stdout.contains("the big one"));
    go(&project);
    deploy.end().expect(0);
    assert_eq!(project.ok(&["lock", "status"]).stdout, "local is free\n");
    assert_eq!(project.records().len(), 1);
}

/// A deploy that was stopped in its gate so long ago that its lease's time is up.
fn stopped_deploy(project: &Project) -> Running {
    let deploy = waiting_deploy(project);
    until("the new release runs", || !project.services().is_empty());
    deploy.signal(Signal::STOP);
    let stat = format!("/proc/{}/stat", deploy.pid());
    until("it is stopped", || fs_err::read_to_string(&stat).unwrap().contains(") T "));
    let file = project.deployed("lease.json");
    let mut lease: Value = serde_json::from_str(&fs_err::read_to_string(&file).unwrap()).unwrap();
    lease["holder"]["renewed"] = json!(Timestamp::now() - SignedDuration::from_secs(3600));
    fs_err::write(&file, lease.to_string()).unwrap();
    deploy
}

#[test]
fn a_stopped_deploy_is_named_and_goes_on_when_the_hint_is_typed() {
    let project = Project::fixture();
    let deploy = stopped_deploy(&project);
    let pid = deploy.pid();
    let says = ["is locked", "the big one", &format!("process {pid} is stopped")];
    let refused = project.run(&["deploy"]).expect(20).says(&says);
    assert!(project.ok(&["lock", "status"]).stdout.contains(&format!("process {pid}, which is stopped")));
    let typed = refused.stderr.split("type: ").nth(1).unwrap().lines().next().unwrap();
    Ran::of(std::process::Command::new("sh").args(["-c", typed])).expect(0);
    go(&project);
    let Ended { code, stderr, .. } = deploy.end();
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(project.serves(), Some(project.head()));
}

#[test]
fn a_stopped_deploy_whose_lease_was_broken_does_not_make_the_next_one_unhealthy() {
    let project = Project::fixture();
    let deploy = stopped_deploy(&project);
    project.ok(&["lock", "break", "--yes"]);
    let version = project.head();
    let newer = project.commit_behaviour("ready");
    project.run(&["deploy"]).expect(20).says(&["another deploy to local is under way", &version]);
    deploy.kill();
    until("what it started has ended", || project.services().is_empty());
    project.ok(&["deploy"]);
    assert_eq!(project.serves(), Some(newer));
}

#[test]
fn of_concurrent_deploys_one_runs_and_the_others_are_refused() {
    let project = Project::fixture();
    let deploys: Vec<Running> = (0..4).map(|_| project.start(&["deploy"])).collect();
    let ended: Vec<Ended> = deploys.into_iter().map(Running::end).collect();
    let codes: Vec<i32> = ended.iter().map(|ended| ended.code.unwrap()).collect();
    // A deploy that started after another had finished finds nothing to do.
    let expected = codes.iter().all(|code| matches!(code, 0 | 20)) && codes.contains(&0);
    assert!(expected, "{codes:?}: {:?}", ended.iter().map(|ended| &ended.stderr).collect::<Vec<_>>());
    assert_eq!(project.records().len(), 1);
    until("one process serves", || project.services().len() == 1);
}

#[test]
fn a_deploy_whose_lease_is_broken_stops_before_the_switch() {
    let project = Project::fixture();
    let first = project.head();
    project.ok(&["deploy"]);
    let deploy = waiting_deploy(&project);
    project.run(&["lock", "break"]).expect(21).says(&["cargo xtask lock break local --yes"]);
    let broken = project.results(&["lock", "break", "--yes"]).remove(0);
    assert_eq!(broken["broken"]["message"], "the big one");
    assert_eq!(project.ok(&["lock", "break", "--yes"]).stdout, "local is free; nothing to break\n");
    go(&project);
    let ended = deploy.end().expect(1);
    assert!(ended.stderr.contains("the lease is no longer held"), "{}", ended.stderr);
    assert_eq!(project.serves(), Some(first));
    until("the new version is gone", || project.services().len() == 1);
    assert_eq!(project.records()[0]["outcome"], "aborted");
    project.ok(&["deploy", "--resume"]);
    assert_eq!(project.serves(), Some(project.head()));
}

#[test]
fn a_deploy_that_lost_its_lease_does_not_overwrite_the_newer_record() {
    let project = Project::fixture();
    let deploy = waiting_deploy(&project);
    project.ok(&["lock", "break", "--yes"]);
    let newer = project.commit_behaviour("ready");
    // The deploy without a lease still holds the supervisor's only candidate slot, until it ends.
    go(&project);
    let ended = deploy.end().expect(1);
    assert!(ended.stderr.contains("the lease is no longer held"), "{}", ended.stderr);
    project.ok(&["deploy"]);
    assert_eq!(project.serves(), Some(newer));
    assert_eq!(project.records()[0]["outcome"], "live");
}

/// Writes a lease of another machine that was last renewed this many seconds ago.
fn elsewhere(project: &Project, seconds: i64) {
    let renewed = Timestamp::now() - SignedDuration::from_secs(seconds);
    let process = json!({ "machine": "another machine", "pid": 1, "started": 1 });
    let holder = json!({ "who": "somebody@elsewhere", "message": "deploy of theirs", "version": "0.1.0",
        "process": process, "since": renewed, "renewed": renewed });
    let lease = json!({ "token": 41, "holder": holder });
    fs_err::create_dir_all(project.deployed("")).unwrap();
    fs_err::write(project.deployed("lease.json"), lease.to_string()).unwrap();
}

#[test]
fn a_lease_of_another_machine_holds_until_it_expires() {
    let project = Project::fixture();
    elsewhere(&project, 30);
    project.run(&["deploy"]).expect(20).says(&["somebody@elsewhere", "deploy of theirs"]);
    assert!(project.ok(&["lock", "status"]).stdout.contains("somebody@elsewhere"));
    elsewhere(&project, 61);
    assert!(project.ok(&["lock", "status"]).stdout.contains("is free"));
    project.ok(&["deploy"]).says(&["took the lease over from somebody@elsewhere"]);
    assert_eq!(project.records()[0]["token"], 42);
}

#[test]
fn a_lease_that_cannot_be_read_is_an_error_that_names_it() {
    let project = Project::fixture();
    elsewhere(&project, 0);
    fs_err::write(project.deployed("lease.json"), "{").unwrap();
    project.run(&["deploy"]).expect(1).says(&["lease.json"]);
    assert_eq!(project.results(&["history"]), Vec::<Value>::new());
}
