//! A deploy that is stopped (SIGSTOP), loses its lease to another machine meanwhile, and goes on.

use std::time::Duration;

use serde_json::{Value, json};

use crate::operations::{result, xtask};
use crate::production::{START, approved, deploy};
use crate::whole::{get, open};
use rustix::process::Signal;
use testkit::{Running, sample};
use xtask::state::lease::{Holder, KEY, Lease};

#[test]
fn a_deploy_that_is_stopped_past_its_time_changes_nothing_when_it_goes_on() {
    let test = "a_deploy_that_is_stopped_past_its_time_changes_nothing_when_it_goes_on";
    let Some((site, _registry, _rest)) = open(test, START) else { return };
    let address = "    target: scaleway\n    gate: { watch: 0 }";
    site.project.edit("deploy.yaml", "    target: scaleway", address);
    // There is no way to the public address here.
    site.project.edit("infra/scaleway/outputs.tf", "output \"url\"", "output \"public\"");
    let first = site.project.commit("The container's own address");
    approved(&site, &["deploy", "production"]).expect(0);
    let address = site.result(&["output", "production"], 0)["outputs"]["endpoint"].as_str().unwrap().to_owned();

    site.project.edit("start", "exit 0", "exit");
    let second = site.project.commit("Another one");
    let planned = result(&site, &["deploy", "production", "--plan-only"], 10);
    let approval = planned["approval"].as_str().unwrap();
    let state = fs_err::read(site.state()).unwrap();
    // Before it plans, and while OpenTofu reads the kept plan: right before it would apply it.
    for step in sample(&["source", "plan"], 1) {
        let mut deploying =
            Running::start(&mut site.toolkit(&["deploy", "production", "--json", "--approve", approval]));
        deploying.must(step, "started");
        deploying.signal(Signal::STOP);
        site.in_process(async |env, _| {
            let store = env.store().unwrap();
            // As the lease is for another machine once the time is up: that one does not know that the process is stopped.
            let found = store.get(KEY).await.unwrap().unwrap();
            let mut lease: Value = serde_json::from_slice(&found.bytes).unwrap();
            lease["holder"]["process"]["machine"] = json!("another machine");
            lease["holder"]["ttl_ms"] = json!(0);
            store.put_over(KEY, lease.to_string().as_bytes(), Some(&found.etag)).await.unwrap();
            let holder = Holder::this_process("deploy of another machine".to_owned()).with_ttl(Duration::from_secs(60));
            let Ok((lease, from)) = Lease::take(store, holder).await else { panic!("its time is up") };
            assert!(from.is_some(), "it is taken over");
            deploying.signal(Signal::CONT);
            let ended = deploying.end().expect(1);
            // Its next look at the lease, or its next renewal.
            let taken_over =
                ["has taken it over (\"deploy of another machine\")", "broken or taken over by another deploy"];
            assert!(taken_over.iter().any(|why| ended.stderr.contains(why)), "{}", ended.stderr);
            assert!(ended.stderr.contains("cargo xtask deploy production --resume"), "{}", ended.stderr);
            assert!(!ended.steps("finished").contains(&"apply"), "{:#?}", ended.events);
            // It gave back nothing that is not its own.
            lease.verify().await.unwrap();
            lease.release().await.unwrap();
        });
        assert_eq!(fs_err::read(site.state()).unwrap(), state, "the state is as it was");
        assert!(!site.lock().exists());
        assert!(get(&address, "/ready").contains(&first));
    }
    // The approved plan can still be applied, once.
    deploy(&site, &["--resume", "--approve", approval]).expect(0).says(&["live", &second]);
    assert!(get(&address, "/ready").contains(&second));
    assert_eq!(xtask(&site, &["lock", "status", "production"]).expect(0).stdout, "production is free\n");
}
