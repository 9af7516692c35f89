//! How rehearsals end that do not come to their end.

use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;
use testkit::machine::signal_group;
use testkit::{Ran, until};

use crate::shop::{Shop, account, images_of};

#[test]
fn ctrl_c_in_mid_apply_leaves_nothing_but_the_account() {
    let Some(shop) = Shop::open("ctrl_c_in_mid_apply_leaves_nothing_but_the_account") else { return };
    let running = shop.start(&["production"]);
    until_applied(&shop);
    // As a terminal sends it: to the whole group.
    signal_group(running.pid(), Signal::INT);
    let ended = running.end().expect(1);
    assert!(ended.stderr.contains("interrupted by Ctrl-C"), "{}", ended.stderr);
    let account = account(&ended.events);
    let outcome = |name: &str| {
        let chapters = account["chapters"].as_array().unwrap();
        chapters.iter().find(|chapter| chapter["name"] == name).unwrap()["outcome"].clone()
    };
    assert_eq!((outcome("bootstrap state"), outcome("rollback")), ("done".into(), "skipped".into()));
    assert!(!shop.folder().join("servers").exists() && !shop.folder().join("project").exists());
    assert_eq!(shop.processes(), []);
}

#[test]
fn what_a_killed_rehearsal_has_left_is_cleaned_up() {
    let Some(shop) = Shop::open("what_a_killed_rehearsal_has_left_is_cleaned_up") else { return };
    let running = shop.start(&["production"]);
    until_applied(&shop);
    running.kill();
    let registry = fs_err::read_to_string(shop.folder().join("servers/registry")).unwrap();
    assert!(!shop.containers().is_empty() && !images_of(&registry).is_empty() && !shop.processes().is_empty());
    let containers = shop.containers();
    let said = shop.run(&["clean"]).expect(0).stdout;
    assert!(said.contains("1 containers, 1 images"), "{said}");
    assert_eq!((shop.processes(), images_of(&registry)), (Vec::new(), Vec::new()));
    assert!(!shop.folder().exists());
    for id in containers {
        let asked = std::process::Command::new("docker").args(["inspect", &id]).output().unwrap();
        assert!(!asked.status.success(), "the container {id} is left");
    }
    // Once more there is nothing.
    assert!(shop.run(&["clean"]).expect(0).stdout.contains("0 containers, 0 images, 0 processes"));
}

/// Waits until the first deploy has started its container.
fn until_applied(shop: &Shop) {
    until("the container runs", || !shop.containers().is_empty());
}

#[test]
fn one_that_is_kept_can_be_looked_at_and_is_ended_by_clean() {
    let Some(shop) = Shop::open("one_that_is_kept_can_be_looked_at_and_is_ended_by_clean") else { return };
    let running = shop.start(&["production", "--ci", "--keep"]);
    until("the rehearsal waits", || shop.folder().join("kept.json").exists());
    // Another one would be in its way.
    shop.run(&["production"]).expect(20).says(&["kept by --keep"]);
    let look = shop.folder().join("look");
    assert_eq!(fs_err::metadata(&look).unwrap().permissions().mode() & 0o777, 0o600);
    // As it says: the variables are sourced, and the toolkit is run in the clone.
    let mut status = std::process::Command::new("sh");
    status.args(["-c", ". ../look && exec \"$0\" status production --json"]).arg(testkit::toolkit());
    let status = Ran::of(status.current_dir(shop.folder().join("project"))).expect(0).stdout;
    assert!(status.contains("https://media.example.org") && status.contains("\"ready\":true"), "{status}");
    shop.run(&["clean", "production"]).expect(0).says(&["is asked to end"]);
    let ended = running.end().expect(0);
    let account = account(&ended.events);
    let last = account["chapters"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["name"], &last["outcome"]), (&"deploy in CI".into(), &"done".into()), "{account:#}");
    assert!(last["proof"].to_string().contains("without an approval it was refused"), "{last:#}");
    assert!(!shop.folder().exists());
    assert_eq!(shop.processes(), []);
}
