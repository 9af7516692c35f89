//! A deploy to a stack whose toolkit is killed: `--resume` goes on, nothing is done twice, and nothing is left locked.

use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::operations::{in_order, result, xtask};
use crate::production::{START, deploy};
use crate::site::Site;
use crate::whole::open;
use devservers::registry::DockerRegistry;
use testkit::{Ran, Running, sample};

/// Where it is killed: after this step, or in its middle.
const PLACES: [(&str, &str); 14] = [
    ("source", "finished"),
    ("provision", "finished"),
    ("build", "finished"),
    ("publish", "started"),
    ("publish", "finished"),
    ("plan", "started"),
    ("plan", "finished"),
    ("apply", "started"),
    ("apply", "finished"),
    ("gate", "finished"),
    ("address", "finished"),
    ("switch", "finished"),
    ("watch", "finished"),
    ("record", "finished"),
];

#[test]
fn a_deploy_that_is_killed_anywhere_is_resumed_and_does_nothing_twice() {
    let test = "a_deploy_that_is_killed_anywhere_is_resumed_and_does_nothing_twice";
    let Some((mut site, registry, _rest)) = open(test, START) else { return };
    let _gateway = Gateway::before(&mut site);
    site.variables.push(("SCW_SECRET_KEY", "sentinel-of-scaleway".to_owned()));
    site.project.edit("deploy.yaml", "    target: scaleway", "    target: scaleway\n    gate: { watch: 1 }");
    site.project.edit("deploy.yaml", "approval: required", "approval: off");
    let mut version = site.project.commit("A short watch");
    deploy(&site, &[]).expect(0);
    for (number, (step, state)) in sample(&PLACES, 2).into_iter().enumerate() {
        println!("killed: {step} {state}");
        // Another image each time.
        site.project.edit("start", "trap 'exit 0' TERM", &format!("echo {number}\ntrap 'exit 0' TERM"));
        version = site.project.commit(&format!("Killed at {step} {state}"));
        count_updates(&site, if (step, state) == ("apply", "started") { 0.5 } else { 0.0 });
        let before = killed_at(&site, &registry, step, state);
        let resumed =
            Running::start(&mut site.toolkit(&["deploy", "production", "--resume", "--json"])).end().expect(0);
        assert_eq!(updates(&site), 1, "{step} {state}: the container was updated once");
        let again = |step: &&str| resumed.steps("finished").contains(step);
        let twice: Vec<&str> = before.iter().copied().filter(again).collect();
        assert_eq!(twice, [""; 0], "{step} {state}: {:#?}", resumed.events);
        let status = result(&site, &["status", "production"], 0);
        assert_eq!(
            (&status["version"], &status["unfinished"]),
            (&json!(version), &json!(false)),
            "{step} {state}: {status:#}"
        );
        let live = history(&site)
            .into_iter()
            .filter(|record| record["outcome"] == "live" && record["source"]["version"] == *version);
        assert_eq!(live.count(), 1, "{step} {state}");
        assert_eq!(xtask(&site, &["lock", "status", "production"]).expect(0).stdout, "production is free\n");
    }
    in_order(&site, &version);
}

/// Begins a deploy, and kills the toolkit there: what was done before and outlives the process.
fn killed_at(site: &Site, registry: &DockerRegistry, step: &str, state: &str) -> Vec<&'static str> {
    let pushes = || registry.requests().iter().filter(|request| request.starts_with("POST ")).count();
    let pushed = pushes();
    let mut deploying = Running::start(&mut site.toolkit(&["deploy", "production", "--json"]));
    deploying.must(step, state);
    match (step, state) {
        ("publish", "started") => {
            testkit::until("the push is under way", || pushes() > pushed);
        }
        ("apply", "started") => {
            testkit::until("the container is being updated", || updates(site) == 1);
        }
        _ => {}
    }
    let events = deploying.kill();
    let is_done = |step: &&str| events.iter().any(|event| event["step"] == *step && event["state"] == "finished");
    ["source", "build", "publish"].into_iter().filter(is_done).collect()
}

/// Lets the stand-in count how often it updates the container, which takes these seconds.
fn count_updates(site: &Site, seconds: f64) {
    let fault =
        json!({ "type": "scaleway_container", "during": "update", "times": 1000, "fault": { "slow": seconds } });
    site.cloud().faults(&json!([fault])).unwrap();
}

fn updates(site: &Site) -> u64 {
    let file = fs_err::read(site.cloud().folder().join("faults.json")).unwrap();
    let faults: Value = serde_json::from_slice(&file).unwrap();
    1000 - faults[0]["times"].as_u64().unwrap()
}

fn history(site: &Site) -> Vec<Value> {
    let said = Ran::of(&mut site.toolkit(&["history", "production", "--json"])).expect(0).stdout;
    said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["detail"].take()).collect()
}
