//! The first Ctrl-C interrupts OpenTofu and waits; the second kills it and says what that may leave.

use rustix::process::Signal;

use crate::site::Site;
use testkit::machine::{all_command_lines, lives, processes_below, signal, signal_group};
use testkit::{Running, until};

/// An apply in progress.
fn under_way(site: &Site, command: &str) -> Running {
    site.runs(&format!("touch ../.deploy/here; {command}"));
    let approval = site.approval();
    let mut applying = site.start(&["apply", "production", "--approve", &approval]);
    applying.must("apply", "started");
    until("it is under way", || site.project.root.join(".deploy/here").exists());
    applying
}

#[test]
fn ctrl_c_once_stops_and_leaves_a_complete_state() {
    let Some(site) = Site::open("ctrl_c_once_stops_and_leaves_a_complete_state") else { return };
    let applying = under_way(&site, "exec sleep 600");
    signal_group(applying.pid(), Signal::INT);
    let ended = applying.end().expect(1);
    assert!(ended.texts("warning").contains("interrupting OpenTofu and waiting"), "{:#?}", ended.events);
    assert!(ended.stderr.contains("interrupted by Ctrl-C") && ended.stderr.contains("has stopped"), "{}", ended.stderr);
    assert!(ended.stderr.contains("cargo xtask tofu plan production"), "{}", ended.stderr);
    until("the lock is given back", || !site.lock().exists());
    // The incomplete one is replaced, and the others exist.
    let plan = site.result(&["plan", "production"], 10);
    assert_eq!(plan["changes"][0]["address"], "terraform_data.slow", "{plan:#}");
    assert_eq!(plan["changes"].as_array().unwrap().len(), 1, "{plan:#}");
}

#[test]
fn ctrl_c_twice_kills_and_says_what_it_may_leave() {
    let Some(site) = Site::open("ctrl_c_twice_kills_and_says_what_it_may_leave") else { return };
    let applying = under_way(&site, "exec sleep 600");
    // A stopped process does not react to the interrupt.
    let processes = processes_below(&site.project.root);
    let program = processes.iter().find(|process| process.command.contains("apply -input=false")).expect("it runs");
    signal(program.pid, Signal::STOP);
    until("it has ended", || {
        applying.signal(Signal::INT);
        !lives(applying.pid())
    });
    let ended = applying.end().expect(1);
    for said in [
        "was killed",
        "operations in progress: terraform_data.slow",
        "the state may still be locked",
        "tofu plan production",
    ] {
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }
    until("nothing of it runs", || !all_command_lines().contains(&*site.project.root.join("infra").to_string_lossy()));
    // The commands that are printed repair what it left.
    site.unlock(&site.run(&["plan", "production"]));
    site.run(&["plan", "production"]).expect(10);
}
