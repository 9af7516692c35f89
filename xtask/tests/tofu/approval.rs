//! A yes is to one plan, of one commit and one state, for a while.

use serde_json::{Value, json};

use crate::site::Site;
use testkit::Ran;

/// It is not applied, for this reason, and a new plan is asked for.
#[track_caller]
fn refused(site: &Site, approval: &str, why: &str) {
    let ran = site.run(&["apply", "production", "--approve", approval]).expect(21);
    ran.says(&["nothing was applied", why, "cargo xtask tofu plan production"]);
}

#[test]
fn whatever_is_another_one_than_was_approved_is_refused() {
    let Some(site) = Site::open("whatever_is_another_one_than_was_approved_is_refused") else { return };
    let plan = site.folder().join("plan.tfplan");
    let record = site.folder().join("plan.json");
    let approval = site.approval();
    refused(&site, "00000000000000000000000000000000", "another plan");
    Ran::of(site.command(&["apply", "production"]).env("CI", "true")).expect(21).says(&["--approve", &approval]);

    // The plan file: a byte of it, and another plan in its place.
    let bytes = fs_err::read(&plan).unwrap();
    let mut edited = bytes.clone();
    *edited.last_mut().unwrap() ^= 1;
    fs_err::write(&plan, &edited).unwrap();
    refused(&site, &approval, "is not the file that was planned");
    fs_err::write(&plan, &bytes).unwrap();

    // The time: it cannot be made younger either, for the approval is of its time too.
    let text = fs_err::read_to_string(&record).unwrap();
    let mut old: Value = serde_json::from_str(&text).unwrap();
    old["made"] = json!("2026-01-01T00:00:00Z");
    fs_err::write(&record, old.to_string()).unwrap();
    refused(&site, &approval, "is good for 60");
    old["made"] = json!(jiff::Timestamp::now() - jiff::SignedDuration::from_mins(1));
    fs_err::write(&record, old.to_string()).unwrap();
    refused(&site, &approval, "another plan");
    fs_err::write(&record, &text).unwrap();

    // The tree, and the commit.
    site.project.write("README.md", "changed");
    refused(&site, &approval, "only a commit is applied");
    site.run(&["plan", "production"]).expect(10);
    let looked_at = site.run(&["plan", "production"]).expect(10);
    assert!(looked_at.stdout.contains("to look at only"), "{}", looked_at.stdout);
    site.project.commit("Another commit");
    refused(&site, &approval, "and");
    assert!(!site.state().exists(), "nothing was made");
}

#[test]
fn a_state_that_has_moved_on_takes_a_new_plan() {
    let Some(site) = Site::open("a_state_that_has_moved_on_takes_a_new_plan") else { return };
    let approval = site.approval();
    // Somebody else applies the same commit in a checkout of theirs.
    let other = site.clone_to("other");
    let planned = Ran::of(&mut site.command_in(&other, &["plan", "production"])).expect(10);
    let theirs = planned.stdout.trim().rsplit(' ').next().unwrap().to_owned();
    assert_ne!(theirs, approval);
    Ran::of(&mut site.command_in(&other, &["apply", "production", "--approve", &theirs])).expect(0);
    refused(&site, &approval, "the state");
    site.run(&["plan", "production"]).expect(0);
}

#[test]
fn without_approval_where_deploy_yaml_says_so() {
    let Some(site) = Site::open("without_approval_where_deploy_yaml_says_so") else { return };
    site.project.edit("deploy.yaml", "    variables: { size: 3 }", "    variables: { size: 3 }\n    approval: off");
    site.project.commit("Nobody is asked");
    site.run(&["plan", "production"]).expect(10);
    let mut bytes = fs_err::read(site.folder().join("plan.tfplan")).unwrap();
    bytes.push(b' ');
    fs_err::write(site.folder().join("plan.tfplan"), bytes).unwrap();
    site.run(&["apply", "production"]).expect(21).says(&["is not the file that was planned"]);
    site.run(&["plan", "production"]).expect(10);
    site.run(&["apply", "production"]).expect(0);
}
