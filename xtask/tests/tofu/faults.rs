//! Errors of the provider: they are shown, and the next plan continues from what exists.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::site::Site;
use crate::small::{STACK, site};
use testkit::until;

/// The only change that a plan has: address, action, reason.
#[track_caller]
fn only_change(site: &Site) -> [Value; 3] {
    let plan = site.result(&["plan", "production"], 10);
    let [change] = &plan["changes"].as_array().unwrap()[..] else { panic!("{plan:#}") };
    ["address", "action", "reason"].map(|name| change[name].clone())
}

#[track_caller]
fn container_is(site: &Site, action: &str, reason: Value) {
    assert_eq!(only_change(site), [json!("scaleway_container.app"), json!(action), reason]);
}

#[test]
fn errors_of_the_provider_are_shown_and_the_next_plan_continues() {
    let test = "errors_of_the_provider_are_shown_and_the_next_plan_continues";
    let Some(site) = site(test, STACK) else { return };
    let fails = |fault: Value, words: &str| {
        site.fault(fault);
        let approval = site.approval();
        let failed = site.run(&["apply", "production", "--approve", &approval]).expect(1);
        failed.says(&["infra/main.tf:16:", "scaleway_container.app", words, "cargo xtask tofu plan production"]);
    };
    fails(json!({ "fail": "no such image" }), "no such image");
    container_is(&site, "create", Value::Null);
    fails(json!({ "quota": "2 GB of memory" }), "quota exceeded: 2 GB of memory");
    container_is(&site, "create", Value::Null);
    fails(json!("rate_limit"), "429 Too Many Requests");
    container_is(&site, "create", Value::Null);
    assert_eq!(site.cloud().kept("scaleway_container").len(), 0);
    // The resource exists and is tainted.
    fails(json!({ "fail_after": "timeout while waiting" }), "timeout while waiting");
    container_is(&site, "replace", json!("replace_because_tainted"));
    let (half_done, _) = site.cloud().only("scaleway_container");
    site.change();
    assert_ne!(site.cloud().only("scaleway_container").0, half_done);
    site.run(&["plan", "production"]).expect(0);
}

#[test]
fn a_resource_with_status_error_is_warned_of() {
    let Some(site) = site("a_resource_with_status_error_is_warned_of", STACK) else { return };
    site.fault(json!({ "error_status": "no such image" }));
    let approval = site.approval();
    let applied = site.start(&["apply", "production", "--approve", &approval]).end().expect(0);
    let warned = applied.texts("warning");
    assert_eq!(warned, "scaleway_container.app was applied, and its status is error: no such image\n");
    let errored = json!([{ "address": "scaleway_container.app", "message": "no such image" }]);
    assert_eq!(crate::site::result(applied)["errored"], errored);

    // A resource that is missing is created again.
    fs_err::remove_file(site.cloud().only("scaleway_container").0).unwrap();
    let plan = site.run(&["plan", "production"]).expect(10);
    assert!(plan.stdout.contains("! scaleway_container.app was deleted outside of OpenTofu\n"), "{}", plan.stdout);
    container_is(&site, "create", Value::Null);
}

#[test]
fn a_provider_that_crashes_leaves_a_complete_state() {
    for (fault, left) in [("die", 0), ("die_after", 1)] {
        let Some(mut site) = site("a_provider_that_crashes_leaves_a_complete_state", STACK) else { return };
        site.fault(json!(fault));
        let approval = site.approval();
        let failed = site.run(&["apply", "production", "--approve", &approval]).expect(1);
        failed.says(&["create scaleway_container.app failed", "Plugin did not respond", "cargo xtask tofu plan"]);
        assert!(!site.lock().exists());
        site.cloud.as_mut().unwrap().restart();
        // The resources created before are in the state. The operation in progress is not, and may have succeeded.
        container_is(&site, "create", Value::Null);
        assert_eq!(site.cloud().kept("scaleway_container_namespace").len(), 1);
        assert_eq!(site.cloud().kept("scaleway_container").len(), left);
        site.change();
        site.run(&["plan", "production"]).expect(0);
    }
}

#[test]
fn ctrl_c_reaches_the_provider() {
    let Some(site) = site("ctrl_c_reaches_the_provider", STACK) else { return };
    let approval = site.approval();
    site.fault(json!({ "slow": 600 }));
    let mut applying = site.start(&["apply", "production", "--approve", &approval]);
    applying.must("apply", "started");
    let faults = site.cloud().folder().join("faults.json");
    until("the container is being made", || fs_err::read_to_string(&faults).unwrap().contains("\"times\": 0"));
    applying.signal(Signal::INT);
    let ended = applying.end().expect(1);
    assert!(ended.stderr.contains("interrupted by") && ended.stderr.contains("has stopped"), "{}", ended.stderr);
    assert!(!site.lock().exists());
    container_is(&site, "create", Value::Null);
    site.change();
    site.run(&["plan", "production"]).expect(0);
}
