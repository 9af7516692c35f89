//! The first Ctrl-C interrupts OpenTofu and waits; the second kills it and says what that may leave. A terminal that goes away
//! counts as one Ctrl-C, however often that is signalled.

use rustix::process::Signal;

use crate::site::Site;
use testkit::machine::{all_command_lines, lives, processes_below, signal, signal_group};
use testkit::{Controls, Running, Terminal, until};

/// An apply in progress.
fn under_way(site: &Site, command: &str) -> Running {
    let approval = approval(site, command);
    let mut applying = site.start(&["apply", "production", "--approve", &approval]);
    applying.must("apply", "started");
    is_under_way(site);
    applying
}

/// The same in a terminal.
fn under_way_in_a_terminal(site: &Site, command: &str, controls: Controls) -> Terminal {
    let approval = approval(site, command);
    let applying = Terminal::start(&site.command(&["apply", "production", "--approve", &approval]), controls);
    is_under_way(site);
    applying
}

fn approval(site: &Site, command: &str) -> String {
    site.runs(&format!("touch ../.deploy/here; {command}"));
    site.approval()
}

fn is_under_way(site: &Site) {
    until("it is under way", || site.project.root.join(".deploy/here").exists());
}

/// The incomplete resource is replaced, and the others exist.
fn all_but_the_slow_one_exist(site: &Site) {
    let plan = site.result(&["plan", "production"], 10);
    assert_eq!(plan["changes"][0]["address"], "terraform_data.slow", "{plan:#}");
    assert_eq!(plan["changes"].as_array().unwrap().len(), 1, "{plan:#}");
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
    all_but_the_slow_one_exist(&site);
}

#[test]
fn a_dropped_connection_stops_it_and_leaves_a_complete_state() {
    let Some(site) = Site::open("a_dropped_connection_stops_it_and_leaves_a_complete_state") else { return };
    let mut applying = under_way_in_a_terminal(&site, "exec sleep 600", Controls::Yes);
    applying.close();
    // The shell tells its jobs, too.
    signal(applying.pid(), Signal::HUP);
    assert_eq!(applying.end().0, Some(1));
    until("the lock is given back", || !site.lock().exists());
    all_but_the_slow_one_exist(&site);
}

#[test]
fn a_terminal_that_cannot_be_written_does_not_stop_it() {
    let Some(site) = Site::open("a_terminal_that_cannot_be_written_does_not_stop_it") else { return };
    let command = "while [ ! -e ../.deploy/go ]; do sleep 0.05; done";
    let mut applying = under_way_in_a_terminal(&site, command, Controls::No);
    applying.close();
    site.project.write(".deploy/go", "");
    assert_eq!(applying.end().0, Some(0));
    assert!(!site.lock().exists());
    site.run(&["plan", "production"]).expect(0);
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
