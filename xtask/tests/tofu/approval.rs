//! An approval is for one plan, of one commit and one state, for a limited time.

use std::path::PathBuf;

use serde_json::{Value, json};

use devservers::versitygw::{ACCESS_KEY, SECRET_KEY};

use crate::site::Site;
use testkit::Ran;

/// Checks that the plan is refused for this reason, and that the error names the command for a new one.
#[track_caller]
fn refused(site: &Site, approval: &str, why: &str) {
    let ran = site.run(&["apply", "production", "--approve", approval]).expect(21);
    ran.says(&["nothing was applied", why, "cargo xtask tofu plan production"]);
}

/// The objects of the kept plan's record and of the plan file.
fn kept(site: &Site) -> (PathBuf, PathBuf) {
    let store = site.storage.bucket("states").join("fixture/production");
    let mut plans = fs_err::read_dir(store.join("plans")).unwrap().map(|entry| entry.unwrap().path());
    let plan = plans.find(|path| path.extension().is_some_and(|end| end == "tfplan")).expect("a plan is kept");
    (store.join("plan.json"), plan)
}

#[test]
fn a_plan_is_refused_when_anything_differs_from_what_was_approved() {
    let Some(site) = Site::open("a_plan_is_refused_when_anything_differs_from_what_was_approved") else { return };
    let approval = site.approval();
    let (record, plan) = kept(&site);
    refused(&site, "00000000000000000000000000000000", "the approval is for another plan");
    Ran::of(site.command(&["apply", "production"]).env("CI", "true")).expect(21).says(&["--approve", &approval]);

    // The plan file: one changed byte.
    let bytes = fs_err::read(&plan).unwrap();
    let mut edited = bytes.clone();
    *edited.last_mut().unwrap() ^= 1;
    fs_err::write(&plan, &edited).unwrap();
    refused(&site, &approval, "another plan file than the one that was planned");
    fs_err::write(&plan, &bytes).unwrap();

    // The approval includes the time, so it cannot be changed either.
    let text = fs_err::read_to_string(&record).unwrap();
    let mut old: Value = serde_json::from_str(&text).unwrap();
    old["made"] = json!("2026-01-01T00:00:00Z");
    fs_err::write(&record, old.to_string()).unwrap();
    refused(&site, &approval, "is valid for 60");
    old["made"] = json!(jiff::Timestamp::now() + jiff::SignedDuration::from_mins(90));
    fs_err::write(&record, old.to_string()).unwrap();
    refused(&site, &approval, "minutes after this machine's time");
    old["made"] = json!(jiff::Timestamp::now() - jiff::SignedDuration::from_mins(1));
    fs_err::write(&record, old.to_string()).unwrap();
    refused(&site, &approval, "the approval is for another plan");
    fs_err::write(&record, &text).unwrap();

    // One of another environment, put into this one's place.
    let mut foreign: Value = serde_json::from_str(&text).unwrap();
    foreign["environment"] = json!("staging");
    fs_err::write(&record, foreign.to_string()).unwrap();
    refused(&site, &approval, "the plan is for staging");
    fs_err::write(&record, &text).unwrap();

    // The tree, and the commit.
    site.project.write("README.md", "changed");
    refused(&site, &approval, "only a commit can be applied");
    let shown = site.run(&["plan", "production"]).expect(10);
    assert!(shown.stdout.contains("for information only"), "{}", shown.stdout);
    site.project.commit("Another commit");
    refused(&site, &approval, "the plan was made from");
    assert!(!site.state().exists(), "nothing was created");

    // What each says to type leads to an applied plan.
    let refused = site.run(&["apply", "production", "--approve", &approval]).expect(21);
    let planned = site.type_it(&refused, "make a new plan: ").expect(10);
    let asks = site.type_it(&planned, "to apply   ").expect(21);
    site.type_it(&asks, "type: ").expect(0);
    assert!(site.state().exists());
    site.run(&["plan", "production"]).expect(0);
}

#[test]
fn a_state_that_has_changed_needs_a_new_plan() {
    let Some(site) = Site::open("a_state_that_has_changed_needs_a_new_plan") else { return };
    let approval = site.approval();
    let (record, plan) = kept(&site);
    let (old_record, old_plan) = (fs_err::read(&record).unwrap(), fs_err::read(&plan).unwrap());
    // Another plan of the same commit is made and applied, and then the old one is put back.
    let other = site.approval();
    assert_ne!(other, approval);
    refused(&site, &approval, "the approval is for another plan");
    site.run(&["apply", "production", "--approve", &other]).expect(0);
    refused(&site, &other, "there is no plan");
    let plan = format!("plans/{}", plan.file_name().unwrap().to_str().unwrap());
    site.in_process(async |env, _| {
        let store = env.store().unwrap();
        store.put_if_absent(&plan, &old_plan).await.unwrap();
        store.put_if_absent("plan.json", &old_record).await.unwrap();
    });
    refused(&site, &approval, "the plan was made from another state");
    site.run(&["plan", "production"]).expect(0);
}

#[test]
fn without_approval_where_deploy_yaml_says_so() {
    let Some(site) = Site::open("without_approval_where_deploy_yaml_says_so") else { return };
    site.project.edit("deploy.yaml", "    variables: { size: 3 }", "    variables: { size: 3 }\n    approval: off");
    site.project.commit("No approval");
    site.run(&["plan", "production"]).expect(10);
    let (_, plan) = kept(&site);
    let mut bytes = fs_err::read(&plan).unwrap();
    bytes.push(b' ');
    fs_err::write(plan, bytes).unwrap();
    site.run(&["apply", "production"]).expect(21).says(&["another plan file than the one that was planned"]);
    site.run(&["plan", "production"]).expect(10);
    site.run(&["apply", "production"]).expect(0);
}

#[test]
fn an_unencrypted_plan_stays_on_this_machine() {
    let Some(site) = Site::open("an_unencrypted_plan_stays_on_this_machine") else { return };
    site.project.edit("deploy.yaml", "provider: other,", "provider: other, encryption: off,");
    site.project.commit("Without encryption");
    let approval = site.approval();
    assert!(site.folder().join("plan/plan.json").exists());
    assert!(!site.storage.bucket("states").join("fixture/production").exists());
    let other = site.clone_to("other");
    let elsewhere = Ran::of(&mut site.command_in(&other, &["apply", "production", "--approve", &approval]));
    elsewhere.expect(21).says(&["there is no plan"]);
    site.run(&["apply", "production", "--approve", &approval]).expect(0);
    assert!(!site.folder().join("plan/plan.json").exists());
}

#[test]
fn with_a_key_that_only_opentofu_reads_the_plan_stays_on_this_machine() {
    let Some(site) = Site::open("with_a_key_that_only_opentofu_reads_the_plan_stays_on_this_machine") else { return };
    let keys = site.project.root.join("../credentials");
    let text = format!("[ci]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n");
    fs_err::write(&keys, text).unwrap();
    let secrets = site.project.read(".env.production");
    let others: Vec<&str> = secrets.lines().filter(|line| !line.starts_with("AWS_")).collect();
    site.project.write(".env.production", &others.join("\n"));
    let run =
        |args: &[&str]| Ran::of(site.command(args).env("AWS_PROFILE", "ci").env("AWS_SHARED_CREDENTIALS_FILE", &keys));
    run(&["plan", "production"]).expect(10).says(&["on this machine only", "AWS_PROFILE"]);
    let record: Value = serde_json::from_slice(&fs_err::read(site.folder().join("plan/plan.json")).unwrap()).unwrap();
    assert_eq!(record["environment"], "production");
    run(&["apply", "production"]).expect(21).says(&["not approved"]);
    // Without any key the command that needs one says so.
    site.run(&["plan", "production"]).expect(21).says(&["needs an access key"]);
}
