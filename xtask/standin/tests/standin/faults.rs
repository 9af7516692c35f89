//! What goes wrong when it is asked to.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::world::{Ran, World};

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

/// The first apply fails in these words and the second, of what the first left, succeeds.
fn fails_once(world: &World, what: Value, words: &[&str]) -> Ran {
    let stack = world.stack(ONE);
    world.faults(&fault(what));
    let ran = stack.apply();
    assert_eq!(ran.code, 1, "{}", ran.said);
    assert!(words.iter().all(|word| ran.line().contains(word)), "{words:?}: {}", ran.said);
    assert_eq!(stack.apply().code, 0);
    assert_eq!(stack.changes(), []);
    assert_eq!(world.kept("scaleway_container").len(), 1);
    stack.ok(&["destroy", "-auto-approve"]);
    ran
}

#[test]
fn failures_are_said_and_strike_as_often_as_they_should() {
    let Some(world) = World::new() else { return };
    fails_once(&world, json!({ "fail": "no image" }), &["scaleway_container: no image", "with scaleway_container.app"]);
    fails_once(&world, json!({ "quota": "2 GB of memory" }), &["quota exceeded", "2 GB of memory"]);
    fails_once(&world, json!("rate_limit"), &["429 Too Many Requests"]);
    // It is there and known to be bad: the next apply replaces it.
    fails_once(&world, json!({ "fail_after": "timeout while waiting" }), &["timeout while waiting"]);
    let left: Value = serde_json::from_slice(&fs_err::read(world.state().join("faults.json")).unwrap()).unwrap();
    assert_eq!(left[0]["times"], 0);
}

#[test]
fn a_container_may_end_in_error_while_apply_is_green() {
    let Some(world) = World::new() else { return };
    let stack = world.stack(ONE);
    world.faults(&fault(json!({ "error_status": "no such image" })));
    assert_eq!(stack.apply().code, 0);
    let app = stack.values("scaleway_container.app");
    assert_eq!((&app["status"], &app["error_message"]), (&json!("error"), &json!("no such image")));
}

#[test]
fn a_drift_is_there_at_the_next_plan() {
    let Some(world) = World::new() else { return };
    let stack = world.stack(ONE);
    world.faults(&fault(json!({ "drift": { "privacy": "private" } })));
    stack.apply();
    let plan = stack.plan();
    assert_eq!(plan["resource_drift"][0]["change"]["after"]["privacy"], "private", "{plan}");
    assert_eq!(stack.changes(), [("scaleway_container.app".to_owned(), "update".to_owned())]);
}

#[test]
fn a_slow_resource_is_waited_for_and_an_interrupt_ends_the_wait() {
    let Some(world) = World::new() else { return };
    let stack = world.stack(ONE);
    world.faults(&fault(json!({ "slow": 1.5 })));
    let begun = Instant::now();
    assert_eq!(stack.apply().code, 0);
    assert!(begun.elapsed() >= Duration::from_millis(1500));
    stack.ok(&["destroy", "-auto-approve"]);

    world.faults(&fault(json!({ "slow": 600 })));
    let mut command = stack.command(&["apply", "-auto-approve", "-input=false"]);
    let mut apply = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(apply.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("Creating...")));
    let begun = Instant::now();
    let pid = rustix::process::Pid::from_raw(apply.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert!(lines.all(|line| line.is_ok()));
    let ran = Ran::of(apply.wait_with_output().unwrap());
    assert_eq!(ran.code, 1);
    assert!(ran.line().contains("OpenTofu was asked to stop"), "{}", ran.said);
    assert!(begun.elapsed() < Duration::from_secs(60), "it did not wait for its ten minutes");
    assert_eq!(world.kept("scaleway_container"), []);
    // The stand-in goes on.
    assert_eq!(stack.apply().code, 0);
}

#[test]
fn a_provider_that_dies_leaves_what_it_has_done() {
    for (what, left) in [("die", 0), ("die_after", 1)] {
        let Some(mut world) = World::new() else { return };
        let stack = world.stack(ONE);
        let folder = stack.path().to_owned();
        world.faults(&fault(json!(what)));
        let ran = stack.apply();
        assert_eq!(ran.code, 1, "{}", ran.said);
        assert!(ran.line().contains("scaleway_container.app"), "{}", ran.said);
        let keep = stack.keep();
        assert_eq!(world.ended(), Some(101));
        let world = world.again();
        assert_eq!(world.kept("scaleway_container").len(), left);
        // The state knows nothing of it, and is whole.
        let stack = world.at(keep);
        assert_eq!(stack.path(), folder);
        assert_eq!(stack.apply().code, 0);
        assert_eq!(stack.changes(), []);
        assert_eq!(world.kept("scaleway_container").len(), left + 1);
    }
}

#[test]
fn a_file_of_faults_that_cannot_be_read_is_named() {
    let Some(world) = World::new() else { return };
    let stack = world.stack(ONE);
    world.faults(&json!([{ "type": "scaleway_container", "fault": "explode" }]));
    let ran = stack.apply();
    assert_eq!(ran.code, 1);
    assert!(ran.line().contains("faults.json is no list of faults") && ran.line().contains("explode"), "{}", ran.said);
}
