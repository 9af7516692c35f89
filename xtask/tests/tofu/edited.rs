//! What a deploy to a stack does not believe: a journal that another writer of the bucket has changed, and credentials that are wrong.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::away::{next, prepare};
use crate::operations::{in_order, result};
use crate::production::{START, deploy};
use crate::site::Site;
use crate::whole::open;
use devservers::versitygw::SECRET_KEY;
use testkit::Running;

#[test]
fn a_journal_that_was_edited_does_not_change_what_is_deployed() {
    let test = "a_journal_that_was_edited_does_not_change_what_is_deployed";
    let Some((mut site, _registry, _rest)) = open(test, START) else { return };
    prepare(&mut site);
    deploy(&site, &[]).expect(0);
    let first = result(&site, &["status", "production"], 0)["record"].take();
    let second = next(&site, "second");
    let mut deploying = Running::start(&mut site.toolkit(&["deploy", "production", "--json"]));
    deploying.must("publish", "finished");
    deploying.kill();
    // Another commit, and another image that the registry has.
    edit_journal(&site, |entry| match entry["step"].as_str() {
        Some("source") => entry["output"] = first["source"].clone(),
        Some("build") => entry["output"]["source"] = first["source"].clone(),
        Some("publish") => entry["output"]["digest"] = first["digest"].clone(),
        _ => {}
    });
    let resumed = Running::start(&mut site.toolkit(&["deploy", "production", "--resume", "--json"])).end().expect(0);
    let done = resumed.steps("finished");
    assert!(["source", "build", "publish"].iter().all(|step| done.contains(step)), "{:#?}", resumed.events);
    in_order(&site, &second);
    assert_ne!(result(&site, &["status", "production"], 0)["record"]["digest"], first["digest"]);
}

/// Changes entries, with the checksum that belongs to them.
fn edit_journal(site: &Site, edit: impl Fn(&mut Value)) {
    let file = site.storage.bucket("states").join("fixture/production/journal.jsonl");
    let journal = fs_err::read_to_string(&file).unwrap();
    let mut lines = journal.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut edited = format!("{}\n", lines.next().unwrap());
    for mut entry in lines {
        edit(&mut entry);
        let (step, inputs) = (entry["step"].as_str().unwrap(), entry["inputs"].as_str().unwrap());
        let sum = Sha256::digest(format!("{step}\n{inputs}\n{}", entry["output"]));
        entry["sum"] = hex::encode(&sum[..8]).into();
        edited.push_str(&format!("{entry}\n"));
    }
    assert_ne!(edited, journal);
    fs_err::write(file, edited).unwrap();
}

#[test]
fn a_key_that_is_wrong_is_said_before_anything_is_changed() {
    let test = "a_key_that_is_wrong_is_said_before_anything_is_changed";
    let Some((site, registry, _rest)) = open(test, START) else { return };
    let right = site.project.read(".env.production");
    let key = "AWS_SECRET_ACCESS_KEY";
    for (wrong, says) in [
        (right.replace(SECRET_KEY, "sentinel-of-another"), ["SignatureDoesNotMatch", key]),
        (right.replace("TF_STATE_PASSPHRASE=", "OTHER="), ["TF_STATE_PASSPHRASE has no value", ".env.production"]),
    ] {
        site.project.write(".env.production", &wrong);
        let refused = deploy(&site, &[]);
        assert!(matches!(refused.code, Some(1 | 21)), "{refused:?}");
        let refused = refused.says(&says);
        assert!(!refused.stderr.contains("sentinel"), "{}", refused.stderr);
    }
    let changes: Vec<String> = registry.requests().into_iter().filter(|request| !request.starts_with("GET")).collect();
    assert_eq!(changes, [""; 0]);
    assert!(!site.storage.bucket("states").join("fixture").exists());
}
