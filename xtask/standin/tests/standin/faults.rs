//! Fault injection.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::harness::{RunResult, TestProvider};

const ONE: &str = r#"
resource "scaleway_container" "app" {
  name         = "app"
  namespace_id = "fr-par/11111111-1111-4111-8111-111111111111"
  image        = "app:1"
}
"#;

fn fault(fault: Value) -> Value {
    json!([{ "type": "scaleway_container", "where": { "name": "app" }, "during": "create", "times": 1, "fault": fault }])
}

/// The first apply fails with a message that contains these words, and the second one succeeds.
fn fails_once(provider: &TestProvider, what: Value, words: &[&str]) -> RunResult {
    let stack = provider.stack(ONE);
    provider.inject_faults(&fault(what));
    let result = stack.apply();
    assert_eq!(result.code, 1, "{}", result.output);
    assert!(words.iter().all(|word| result.one_line().contains(word)), "{words:?}: {}", result.output);
    assert_eq!(stack.apply().code, 0);
    assert_eq!(stack.changes(), []);
    assert_eq!(provider.stored("scaleway_container").len(), 1);
    stack.ok(&["destroy", "-auto-approve"]);
    result
}

#[test]
fn failures_are_reported_and_occur_as_often_as_configured() {
    let Some(provider) = TestProvider::new() else { return };
    fails_once(
        &provider,
        json!({ "fail": "no image" }),
        &["scaleway_container: no image", "with scaleway_container.app"],
    );
    fails_once(&provider, json!({ "quota": "2 GB of memory" }), &["quota exceeded", "2 GB of memory"]);
    fails_once(&provider, json!("rate_limit"), &["429 Too Many Requests"]);
    // The resource is tainted, so the next apply replaces it.
    fails_once(&provider, json!({ "fail_after": "timeout while waiting" }), &["timeout while waiting"]);
    assert_eq!(provider.faults_left(), 0);
}

#[test]
fn apply_succeeds_when_the_container_status_is_error() {
    let Some(provider) = TestProvider::new() else { return };
    let stack = provider.stack(ONE);
    provider.inject_faults(&fault(json!({ "error_status": "no such image" })));
    assert_eq!(stack.apply().code, 0);
    let app = stack.values("scaleway_container.app");
    assert_eq!((&app["status"], &app["error_message"]), (&json!("error"), &json!("no such image")));
}

#[test]
fn injected_drift_appears_in_the_next_plan() {
    let Some(provider) = TestProvider::new() else { return };
    let stack = provider.stack(ONE);
    provider.inject_faults(&fault(json!({ "drift": { "privacy": "private" } })));
    stack.apply();
    let plan = stack.plan();
    assert_eq!(plan["resource_drift"][0]["change"]["after"]["privacy"], "private", "{plan}");
    assert_eq!(stack.changes(), [("scaleway_container.app".to_owned(), "update".to_owned())]);
}

#[test]
fn an_interrupt_cancels_a_slow_call() {
    let Some(provider) = TestProvider::new() else { return };
    let stack = provider.stack(ONE);
    provider.inject_faults(&fault(json!({ "slow": 1.5 })));
    let begun = Instant::now();
    assert_eq!(stack.apply().code, 0);
    assert!(begun.elapsed() >= Duration::from_millis(1500));
    stack.ok(&["destroy", "-auto-approve"]);

    provider.inject_faults(&fault(json!({ "slow": 600 })));
    let mut command = stack.command(&["apply", "-auto-approve", "-input=false"]);
    let mut apply = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(apply.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("Creating...")));
    // OpenTofu says so before it calls the provider, and an interrupt before that call ends it without one.
    testkit::until("the provider takes the call", || provider.faults_left() == 0);
    let begun = Instant::now();
    let pid = rustix::process::Pid::from_raw(apply.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert!(lines.all(|line| line.is_ok()));
    let result = RunResult::of(apply.wait_with_output().unwrap());
    assert_eq!(result.code, 1);
    assert!(result.one_line().contains("OpenTofu was asked to stop"), "{}", result.output);
    assert!(begun.elapsed() < Duration::from_secs(60), "the provider stops waiting");
    assert_eq!(provider.stored("scaleway_container"), []);
    // The stand-in continues to serve.
    assert_eq!(stack.apply().code, 0);
}

#[test]
fn a_provider_that_crashes_leaves_the_resources_it_has_created() {
    for (what, left) in [("die", 0), ("die_after", 1)] {
        let Some(mut provider) = TestProvider::new() else { return };
        let stack = provider.stack(ONE);
        let folder = stack.path().to_owned();
        provider.inject_faults(&fault(json!(what)));
        let result = stack.apply();
        assert_eq!(result.code, 1, "{}", result.output);
        assert!(result.one_line().contains("scaleway_container.app"), "{}", result.output);
        let files = stack.into_folder();
        assert_eq!(provider.wait(), Some(101));
        let provider = provider.restart();
        assert_eq!(provider.stored("scaleway_container").len(), left);
        // The state does not contain the resource, and is valid.
        let stack = provider.stack_at(files);
        assert_eq!(stack.path(), folder);
        assert_eq!(stack.apply().code, 0);
        assert_eq!(stack.changes(), []);
        assert_eq!(provider.stored("scaleway_container").len(), left + 1);
    }
}

#[test]
fn an_error_names_an_invalid_faults_file() {
    let Some(provider) = TestProvider::new() else { return };
    let stack = provider.stack(ONE);
    provider.inject_faults(&json!([{ "type": "scaleway_container", "fault": "explode" }]));
    let result = stack.apply();
    assert_eq!(result.code, 1);
    assert!(
        result.one_line().contains("faults.json is not a list of faults") && result.one_line().contains("explode"),
        "{}",
        result.output
    );
}
