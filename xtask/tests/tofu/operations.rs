//! The operator's commands about a release on a stack: what runs, its log, where it answers, which plans need an answer.

use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::drifted::drifted;
use crate::gateway::Gateway;
use crate::production::START;
use crate::site::Site;
use crate::whole::open;
use devservers::http::{HttpServer, Response};
use testkit::{Ran, Running};
use xtask::state::lease::{Holder, Lease};

pub fn xtask(site: &Site, args: &[&str]) -> Ran {
    Ran::of(&mut site.toolkit(args))
}

/// Adds lines to `.env.production`.
pub fn set(site: &Site, lines: &str) {
    let file = site.project.read(".env.production");
    site.project.write(".env.production", &format!("{file}{lines}"));
}

/// The answer of a command with `--json`, which has to end with this code.
pub fn result(site: &Site, args: &[&str], code: i32) -> Value {
    let said = xtask(site, &[args, &["--json"]].concat()).expect(code);
    let events = said.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut results = events.filter(|event| event["state"] == "result");
    results.next_back().expect("there is an answer")["detail"].take()
}

#[test]
fn a_release_on_a_stack_is_looked_at_approved_and_read() {
    let Some((mut site, _registry, _rest)) = open("a_release_on_a_stack_is_looked_at_approved_and_read", START) else {
        return;
    };
    let gateway = Gateway::before(&mut site);
    set(&site, "SCW_SECRET_KEY=sentinel-of-scaleway\n");
    site.project.edit("deploy.yaml", "    target: scaleway", "    target: scaleway\n    gate: { watch: 0 }");
    site.project.edit("deploy.yaml", "approval: required", "approval: none");
    site.project.commit("No question about a release alone");
    xtask(&site, &["open", "production"]).expect(1).says(&["nothing serves in production"]);

    // What is created needs an approval.
    let refused = xtask(&site, &["deploy", "production"]).expect(21).says(&["13 to create", "nothing was applied"]);
    site.type_it(&refused, "type: ").expect(0);
    // The next commit changes the image and its version, and nothing else.
    site.project.edit("start", "exit 0", "exit");
    let second = site.project.commit("Another one");
    xtask(&site, &["deploy", "production"]).expect(0).says(&[
        "1 to update",
        "nothing but the release changes",
        &second,
    ]);
    // So does a setting.
    site.project.edit("deploy.yaml", "LOG_LEVEL: info", "LOG_LEVEL: debug");
    site.project.commit("A setting");
    xtask(&site, &["deploy", "production"]).expect(0).says(&["nothing but the release changes"]);
    // More memory is more than that, also together with a new image.
    site.project.edit("start", "'exit'", "'exit 0'");
    site.project.edit("infra/scaleway/variables_service.tf", "1073741824", "2147483648");
    site.project.commit("More memory");
    let refused = xtask(&site, &["deploy", "production"]).expect(21).says(&["1 to update", "is not approved"]);
    site.type_it(&refused, "type: ").expect(0);

    // What the record says, the platform and the service, side by side.
    let status = result(&site, &["status", "production"], 0);
    assert_eq!((&status["platform"]["status"], &status["differs"]), (&json!("ready"), &json!([])), "{status:#}");
    let container = status["record"]["container"].as_str().unwrap();
    assert_eq!(
        result(&site, &["history", "show", status["record"]["id"].as_str().unwrap(), "production"], 0),
        status["record"]
    );
    site.platform.set(|answers| answers.container = ("error", "out of memory"));
    let differs = "the platform says error: out of memory";
    assert_eq!(result(&site, &["status", "production"], 0)["differs"], json!([differs]));
    assert!(xtask(&site, &["status", "production"]).expect(0).stdout.contains(differs));

    drifted(&site, &status["record"]);

    assert_eq!(xtask(&site, &["open", "production"]).expect(0).stdout, format!("{}\n", gateway.url));
    reads_its_log(&site, container.split('/').nth(1).unwrap());
}

/// The log is read of a Loki whose lines this test decides.
fn reads_its_log(site: &Site, container: &str) {
    xtask(site, &["logs", "production"]).expect(21).says(&["COCKPIT_LOGS_URL", "COCKPIT_TOKEN", ".env.production"]);
    let lines = Arc::new(Mutex::new(vec!["one", "two", "three"]));
    let kept = Arc::clone(&lines);
    let loki = HttpServer::start(move |request| {
        let limit: usize = request.query("limit").unwrap().parse().unwrap();
        let backward = request.query("direction") == Some("backward");
        let lines = kept.lock().unwrap();
        let from = if backward { lines.len().saturating_sub(limit) } else { 0 };
        let value = |(index, line): (usize, &&str)| {
            let text = json!({ "message": line, "resource_instance": "a" }).to_string();
            json!([(1_800_000_000_000_000_000_u64 + index as u64).to_string(), text])
        };
        let values: Vec<Value> = lines.iter().enumerate().skip(from).map(value).collect();
        let body = json!({ "status": "success", "data": { "result": [{ "stream": {}, "values": values }] } });
        Response::new(200).body("application/json", body.to_string())
    });
    set(site, &format!("COCKPIT_LOGS_URL=http://{}\nCOCKPIT_TOKEN=sentinel-of-cockpit\n", loki.address));
    assert_eq!(xtask(site, &["logs", "production", "-n", "2"]).expect(0).stdout, "two\nthree\n");
    let asked = loki.asked().pop().unwrap();
    assert_eq!(asked.header("x-token"), Some("sentinel-of-cockpit"));
    assert!(asked.path.contains(&format!("resource_id%3D%22{container}%22")), "{}", asked.path);

    let mut following = Running::start(site.toolkit(&["logs", "production", "--follow"]).arg("--json"));
    let mut shows = |line: &str| following.must_tell(|event| event["detail"]["line"] == line);
    shows("three");
    lines.lock().unwrap().extend(["three", "four"]);
    shows("four");
    following.signal(rustix::process::Signal::INT);
    let ended = following.end().expect(0);
    let shown: Vec<&str> = ended.events.iter().filter_map(|event| event["detail"]["line"].as_str()).collect();
    assert_eq!(shown, ["one", "two", "three", "three", "four"]);
}

#[test]
fn the_lease_of_a_stack_is_shown_and_broken() {
    let Some(site) = Site::open("the_lease_of_a_stack_is_shown_and_broken") else { return };
    assert_eq!(xtask(&site, &["lock", "status", "production"]).expect(0).stdout, "production is free\n");
    site.in_process(async |env, _| {
        let holder = Holder::this_process("deploy a test".to_owned());
        let Ok((lease, _)) = Lease::take(env.store().unwrap(), holder).await else { panic!("it is free") };
        let status = result(&site, &["lock", "status", "production"], 0);
        assert_eq!(status["locked_by"]["message"], "deploy a test");
        xtask(&site, &["lock", "break", "production"]).expect(21).says(&["lock break production --yes"]);
        lease.verify().await.unwrap();
        let broken = result(&site, &["lock", "break", "production", "--yes"], 0);
        assert_eq!(broken["broken"]["message"], "deploy a test");
        assert!(lease.verify().await.unwrap_err().to_string().contains("no longer held"));
    });
    assert_eq!(xtask(&site, &["lock", "status", "production"]).expect(0).stdout, "production is free\n");
}

#[test]
fn a_deploy_that_is_killed_in_its_apply_is_resumed_and_makes_nothing_twice() {
    let test = "a_deploy_that_is_killed_in_its_apply_is_resumed_and_makes_nothing_twice";
    let Some((mut site, _registry, _rest)) = open(test, START) else { return };
    let _gateway = Gateway::before(&mut site);
    site.project.edit("deploy.yaml", "    target: scaleway", "    target: scaleway\n    gate: { watch: 0 }");
    site.project.edit("deploy.yaml", "approval: required", "approval: off");
    let first = slow(&site);
    killed(&site);
    // OpenTofu goes on, and the next run waits for it.
    let mut resumed = deploy(&site, &["--resume"]);
    resumed.must_tell(|event| {
        event["detail"]["text"].as_str().is_some_and(|text| text.contains("`tofu apply` still runs"))
    });
    site.project.write(".deploy/go", "");
    let resumed = resumed.end().expect(0);
    let notes = resumed.texts("note");
    assert!(notes.contains("resuming the run begun by ") && notes.contains("interrupted in step apply"), "{notes}");
    // Two of them run side by side.
    let mut reused = resumed.steps("reused");
    reused.sort_unstable();
    assert_eq!(reused, ["build", "init", "publish", "source"], "{:#?}", resumed.events);
    // Without the one of the test.
    assert_eq!(site.cloud().count(), 13, "everything was made once");
    in_order(&site, &first);

    // OpenTofu is killed, too: the lock that it leaves is certainly its own.
    let second = slow(&site);
    killed(&site);
    let below = testkit::machine::processes_below(&site.project.root);
    for process in below.iter().filter(|process| process.command.contains("tofu apply")) {
        testkit::machine::signal(process.pid, rustix::process::Signal::KILL);
    }
    assert!(site.lock().exists());
    site.project.write(".deploy/go", "");
    let resumed = deploy(&site, &["--resume"]).end().expect(0);
    assert!(resumed.texts("note").contains("without giving the state's lock back"), "{:#?}", resumed.events);
    assert_eq!(site.cloud().count(), 13);
    in_order(&site, &second);

    // Without `--resume`, the killed one has its record.
    let third = slow(&site);
    killed(&site);
    site.project.write(".deploy/go", "");
    let again = deploy(&site, &[]).end().expect(0);
    assert!(again.texts("note").contains("found an earlier run, begun by "), "{:#?}", again.events);
    in_order(&site, &third);
    let outcomes = Ran::of(&mut site.toolkit(&["history", "production", "--json"])).expect(0);
    let outcomes: Vec<Value> = outcomes
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["detail"]["outcome"].take())
        .collect();
    assert_eq!(outcomes, ["live", "aborted", "live", "live"]);
}

/// A commit whose apply begins with something that waits for the file `go`.
fn slow(site: &Site) -> String {
    for file in ["go", "here"] {
        fs_err::remove_file(site.project.root.join(".deploy").join(file)).ok();
    }
    let version = site.project.head();
    site.project.write(
        "infra/scaleway/slow.tf",
        &format!(
            "resource \"terraform_data\" \"slow\" {{\n  triggers_replace = [\"{version}\"]\n\n  provisioner \"local-exec\" {{\n    \
             command = \"touch ../../.deploy/here; until test -e ../../.deploy/go; do sleep 0.05; done\"\n  }}\n}}\n"
        ),
    );
    site.project.commit("Something that takes its time")
}

/// Begins a deploy, and kills the toolkit while OpenTofu applies.
fn killed(site: &Site) {
    let deploying = deploy(site, &[]);
    testkit::until("it is under way", || site.project.root.join(".deploy/here").exists());
    let mark = site.folder().join("applying.json");
    testkit::until("its lock is known", || {
        fs_err::read_to_string(&mark).is_ok_and(|mark| mark.contains("\"lock\":\""))
    });
    deploying.kill();
}

fn deploy(site: &Site, options: &[&str]) -> Running {
    let mut command: Command = site.toolkit(&[&["deploy", "production"], options].concat());
    Running::start(command.arg("--json"))
}

/// The version serves, and no lock, lease or mark is left.
pub fn in_order(site: &Site, version: &str) {
    assert!(!site.lock().exists());
    assert!(!site.folder().join("applying.json").exists());
    let status = result(site, &["status", "production"], 0);
    assert_eq!((&status["version"], &status["ready"]), (&json!(version), &json!(true)), "{status:#}");
    assert_eq!((&status["locked_by"], &status["unfinished"]), (&Value::Null, &json!(false)));
    assert!(xtask(site, &["deploy", "production"]).expect(0).stderr.contains("unchanged"));
}
