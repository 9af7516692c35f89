//! This repository's own production, with its stack, its image and its database.

use std::process::{Command, Stdio};

use serde_json::Value;
use testkit::{Ran, clone_for_image};

use crate::shop::{Shop, account, events, rehearsal};

#[test]
fn this_repositorys_own_production_is_deployed_broken_and_recovered() {
    let test = "this_repositorys_own_production_is_deployed_broken_and_recovered";
    // For what it looks for.
    let Some(_shop) = Shop::open(test) else { return };
    let folder = tempfile::Builder::new().prefix("xtask-test-").tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap().join("clone");
    clone_for_image(&root);
    let deploy: serde_yaml::Value =
        serde_yaml::from_str(&fs_err::read_to_string(root.join("deploy.yaml")).unwrap()).unwrap();
    for base in deploy["image"]["bases"].as_mapping().unwrap().values() {
        devservers::bases::make_available(base.as_str().unwrap()).unwrap();
    }
    let mut command: Command = rehearsal(&root, &["production", "--break", "health", "--json"]);
    let ended = Ran::of(command.stdin(Stdio::null())).expect(0);
    let account = account(&events(&ended));
    let chapters = account["chapters"].as_array().unwrap();
    assert!(chapters.iter().all(|chapter| chapter["outcome"] == "done"), "{account:#}");
    let proof = |name: &str| {
        let chapter = chapters.iter().find(|chapter: &&Value| chapter["name"] == name).unwrap();
        chapter["proof"].to_string()
    };
    assert!(proof("servers").contains("PostgreSQL with TLS"));
    assert!(proof("deploy under load").contains(" 0 failed"));
    // The service reports what it lacks; then it is deployed with the right password.
    assert!(proof("a release that never gets ready").contains("DATABASE_URL is wrong"));
    let said = ended.stdout + &ended.stderr;
    assert!(!said.contains("postgres://rehearsal:"), "{said}");
}
