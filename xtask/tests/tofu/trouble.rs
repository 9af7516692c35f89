//! Failures: each has an error with the next command, and leaves a complete state.

use rustix::process::Signal;
use serde_json::json;

use crate::site::{Site, write_secrets};
use devservers::versitygw::SECRET_KEY;
use testkit::{Ran, machine, until};

#[test]
fn a_wrong_short_or_missing_passphrase_is_reported() {
    let Some(site) = Site::made("a_wrong_short_or_missing_passphrase_is_reported") else { return };
    let wrong = "another passphrase of 32 letters";
    write_secrets(&site.project.root, wrong);
    for command in [&["plan", "production"][..], &["output", "production"], &["init", "production"]] {
        let ran = site.run(command).expect(1);
        let ran = ran.says(&["TF_STATE_PASSPHRASE is not the passphrase", "check .env.production"]);
        assert!(!ran.stderr.contains(wrong), "{}", ran.stderr);
    }
    write_secrets(&site.project.root, "short");
    site.run(&["plan", "production"]).expect(21).says(&["has 5 bytes; OpenTofu requires at least 16"]);
    write_secrets(&site.project.root, "");
    site.run(&["plan", "production"]).expect(21).says(&["TF_STATE_PASSPHRASE has no value", ".env.production"]);
    write_secrets(&site.project.root, crate::site::PASSPHRASE);
    site.run(&["plan", "production"]).expect(0);
}

#[test]
fn an_unreachable_missing_or_forbidden_bucket_is_reported() {
    let Some(mut site) = Site::made("an_unreachable_missing_or_forbidden_bucket_is_reported") else { return };
    let file = site.project.read(".env.production");
    site.project.write(".env.production", &file.replace(SECRET_KEY, "wrong-storage-key"));
    let closed = site.run(&["plan", "production"]).expect(1);
    let closed = closed.says(&["states/fixture/production.tfstate", "SignatureDoesNotMatch"]);
    assert!(!closed.stderr.contains("wrong-storage-key"));
    site.project.write(".env.production", &file);
    site.storage.pause();
    site.run(&["plan", "production"]).expect(1).says(&["states/fixture/production.tfstate", "connection refused"]);
    site.storage.go_on().unwrap();
    site.project.edit("deploy.yaml", "bucket: states", "bucket: no-states");
    site.project.commit("A bucket that is not there");
    site.run(&["plan", "production"]).expect(1).says(&["no-states", "the state of production was in another location"]);
}

#[test]
fn a_lock_names_its_holder_and_can_be_removed() {
    let Some(site) = Site::open("a_lock_names_its_holder_and_can_be_removed") else { return };
    site.runs("touch ../.deploy/here; until test -e ../.deploy/go; do sleep 0.05; done");
    let approval = site.approval();
    let applying = site.start(&["apply", "production", "--approve", &approval]);
    until("it is under way", || site.project.root.join(".deploy/here").exists());
    // A killed OpenTofu leaves its lock.
    let tofu = machine::processes_below(&site.project.root).into_iter();
    let tofu = tofu.filter(|process| process.command.contains("/tofu apply")).map(|process| process.pid);
    tofu.for_each(|pid| machine::signal(pid, Signal::KILL));
    site.project.write(".deploy/go", "");
    let ended = applying.end().expect(1);
    assert!(ended.stderr.contains("signal: 9") && ended.stderr.contains("tofu plan production"), "{}", ended.stderr);
    let locked = site.run(&["plan", "production"]).expect(20);
    let machine = rustix::system::uname();
    let machine = machine.nodename().to_string_lossy().into_owned();
    let locked = locked.says(&["is locked by ", &format!("@{machine} since 20"), ", for apply"]);
    site.run(&["unlock", "production", "--id", "another"]).expect(1);
    assert!(site.lock().exists());
    site.unlock(&locked);
    site.run(&["plan", "production"]).expect(10);
}

#[test]
fn of_two_applies_at_once_one_is_refused() {
    let Some(site) = Site::open("of_two_applies_at_once_one_is_refused") else { return };
    site.runs("until test -e ../.deploy/go; do sleep 0.05; done");
    let approval = site.approval();
    let other = site.clone_to("other");
    let mut first = site.start(&["apply", "production", "--approve", &approval]);
    first.must("apply", "started");
    until("it holds the lock", || site.lock().exists());
    // In the same checkout, and in another one.
    site.run(&["apply", "production", "--approve", &approval]).expect(20).says(&[
        "another command is using production in this checkout: process",
        "(cargo xtask tofu apply production)",
    ]);
    Ran::of(&mut site.command_in(&other, &["plan", "production"])).expect(20).says(&["is locked by", "tofu unlock"]);
    site.project.write(".deploy/go", "");
    first.end().expect(0);
    Ran::of(&mut site.command_in(&other, &["plan", "production"])).expect(0);
}

#[test]
fn an_apply_that_fails_halfway_leaves_a_complete_state() {
    let Some(site) = Site::open("an_apply_that_fails_halfway_leaves_a_complete_state") else { return };
    site.runs("echo it went wrong; exit 3");
    let approval = site.approval();
    let ended = Ran::of(site.command(&["apply", "production", "--approve", &approval]).env("GITHUB_ACTIONS", "true"));
    let ended = ended.expect(1).says(&["infra/slow.tf:2:", "terraform_data.slow", "exit status 3", "it went wrong"]);
    let ended = ended.says(&["::error file=infra/slow.tf,line=2"]);
    site.project.edit("infra/slow.tf", "exit 3", "true");
    site.project.commit("It goes well");
    site.type_it(&ended, "type: ").expect(10);
    let plan = site.result(&["plan", "production"], 10);
    assert_eq!((&plan["counts"], &plan["unchanged"]), (&json!({ "replace": 1 }), &json!(2)), "{plan:#}");
    assert_eq!(plan["changes"][0]["reason"], "replace_because_tainted");
    site.change();
    site.run(&["plan", "production"]).expect(0);
}

#[test]
fn a_state_that_cannot_be_saved_is_kept_and_recovered() {
    let Some(mut site) = Site::open("a_state_that_cannot_be_saved_is_kept_and_recovered") else { return };
    site.runs("touch ../.deploy/here; until test -e ../.deploy/go; do sleep 0.05; done");
    let approval = site.approval();
    let applying = site.start(&["apply", "production", "--approve", &approval]);
    until("it is under way", || site.project.root.join(".deploy/here").exists());
    site.storage.pause();
    site.project.write(".deploy/go", "");
    let ended = applying.end().expect(1);
    assert!(ended.stderr.contains("cargo xtask tofu recover production"), "{}", ended.stderr);
    assert!(!site.project.root.join("infra/errored.tfstate").exists());
    let kept = fs_err::read_to_string(site.folder().join("unsaved/terraform.tfstate")).unwrap();
    assert!(kept.contains("encrypted_data"), "{kept}");
    site.storage.go_on().unwrap();
    // Nothing is planned before the state is recovered.
    let refused = site.run(&["plan", "production"]).expect(21);
    // OpenTofu could not remove the lock either.
    site.unlock(&site.type_it(&refused, "type: "));
    let recovered = site.type_it(&refused, "type: ").expect(0);
    assert!(!site.folder().join("unsaved").exists());
    site.type_it(&recovered, "next: ").expect(0).says(&["3 unchanged"]);
}
