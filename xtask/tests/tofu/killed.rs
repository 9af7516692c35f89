//! A deploy to a stack whose toolkit is killed: `--resume` goes on, nothing is done twice, and nothing is left locked.

use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::operations::{in_order, result, xtask};
use crate::production::{START, approved};
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
    site.project.commit("A short watch");
    approved(&site, &["deploy", "production"]).expect(0);
    for (number, (step, state)) in sample(&PLACES, 3).into_iter().enumerate() {
        println!("killed: {step} {state}");
        // Another image each time.
        site.project.edit("start", "trap 'exit 0' TERM", &format!("echo {number}\ntrap 'exit 0' TERM"));
        let version = site.project.commit(&format!("Killed at {step} {state}"));
        count_updates(&site, if (step, state) == ("apply", "started") { 0.5 } else { 0.0 });
        let events = killed_at(&site, &registry, step, state);
        let before = || done(&events, "finished").chain(done(&events, "reused"));
        let resumed = resumed(&site);
        assert_eq!(updates(&site), 1, "{step} {state}: the container was updated once");
        for once in before().filter(|step| ["source", "build", "publish"].contains(step)) {
            let again: Vec<_> = resumed.iter().filter(|events| done(events, "finished").any(|step| step == once)).collect();
            assert!(again.is_empty(), "{step} {state}: {once} was done again: {again:#?}");
        }
        in_order(&site, &version);
        let records = history(&site);
        let live = records.iter().filter(|record| record["outcome"] == "live" && record["source"]["version"] == *version);
        assert_eq!(live.count(), 1, "{step} {state}: {records:#?}");
        assert_eq!(xtask(&site, &["lock", "status", "production"]).expect(0).stdout, "production is free\n");
    }
}

/// Begins a deploy of the approved plan, and kills the toolkit there: its events.
fn killed_at(site: &Site, registry: &DockerRegistry, step: &str, state: &str) -> Vec<Value> {
    let pushes = || registry.requests().iter().filter(|request| request.starts_with("POST ")).count();
    let pushed = pushes();
    let is_after_plan = PLACES.iter().position(|place| *place == (step, state)).unwrap() > 6;
    let mut command = site.toolkit(&["deploy", "production", "--json"]);
    if is_after_plan {
        let planned = result(site, &["deploy", "production", "--plan-only"], 10);
        command.args(["--approve", planned["approval"].as_str().unwrap()]);
    }
    let mut deploying = Running::start(&mut command);
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
    deploying.kill()
}

/// Goes on until it is live, typing what the toolkit says: the events of each command.
fn resumed(site: &Site) -> Vec<Vec<Value>> {
    let mut command = vec!["deploy".to_owned(), "production".to_owned(), "--resume".to_owned()];
    let mut all = Vec::new();
    for _ in 0..2 {
        let args: Vec<&str> = command.iter().map(String::as_str).collect();
        let ended = Running::start(site.toolkit(&args).arg("--json")).end();
        let code = ended.code;
        let said = format!("{}{:#?}", ended.stderr, ended.events);
        all.push(ended.events);
        match code {
            Some(0) => return all,
            // What is planned anew is approved anew.
            Some(21) => {
                let typed = said.split("type: cargo xtask ").nth(1).unwrap_or_else(|| panic!("{said}"));
                let words = typed.split([' ', '\n', '"']).take_while(|word| !word.is_empty());
                command = words.map(|word| word.trim_end_matches("\\n").to_owned()).collect();
            }
            _ => panic!("{code:?} {said}"),
        }
    }
    panic!("it is not live after an approval: {all:#?}");
}

/// Lets the stand-in count how often it updates the container, which takes these seconds.
fn count_updates(site: &Site, seconds: f64) {
    site.cloud().faults(&json!([
        { "type": "scaleway_container", "during": "update", "times": 1000, "fault": { "slow": seconds } }
    ]));
}

fn updates(site: &Site) -> u64 {
    let file = fs_err::read(site.cloud().folder().join("faults.json")).unwrap();
    let faults: Value = serde_json::from_slice(&file).unwrap();
    1000 - faults[0]["times"].as_u64().unwrap()
}

fn done<'e>(events: &'e [Value], state: &'static str) -> impl Iterator<Item = &'e str> {
    events.iter().filter(move |event| event["state"] == state).filter_map(|event| event["step"].as_str())
}

fn history(site: &Site) -> Vec<Value> {
    let said = Ran::of(&mut site.toolkit(&["history", "production", "--json"])).expect(0).stdout;
    said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["detail"].take()).collect()
}
