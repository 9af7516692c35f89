//! `deploy` to a stack: planned, approved, applied, verified, restored where it fails, and rolled back. The stack of Scaleway is
//! on the stand-in, as in `whole.rs`.

use std::process::Command;

use serde_json::Value;

use crate::gateway::Gateway;
use crate::secrets::files;
use crate::site::Site;
use crate::whole::{get, open};
use testkit::Ran;

/// The service: a shell script that says that it is ready in its version.
pub const START: &str = r#"#!/bin/busybox sh
b=/bin/busybox
status=ready
$b mkdir -p /www/api/health
echo fine > /www/api/health/readiness
echo fine > /www/api/health/liveness
$b printf '{"status":"%s","version":"%s"}' "$status" "$SERVICE_VERSION" > /www/ready
trap 'exit 0' TERM
$b httpd -f -p "$PORT" -h /www &
wait
"#;

#[test]
fn a_deploy_to_a_stack_succeeds_fails_and_goes_back() {
    let Some((mut site, _registry, _rest)) = open("a_deploy_to_a_stack_succeeds_fails_and_goes_back", START) else {
        return;
    };
    let gateway = Gateway::before(&mut site);
    site.project.edit(
        "deploy.yaml",
        "    target: scaleway",
        "    target: scaleway\n    gate: { watch: 1, no_progress: 2 }",
    );
    let first = site.project.commit("A short gate");

    // Without a terminal it is refused, and says what to type.
    let refused = deploy(&site, &[]).expect(21).says(&["13 to create", "nothing was applied"]);
    assert!(site.result(&["output", "production"], 0)["outputs"].as_object().unwrap().is_empty());
    let live = site.type_it(&refused, "type: ").expect(0).says(&["live", &first]);
    let address = site.result(&["output", "production"], 0)["outputs"]["endpoint"].as_str().unwrap().to_owned();
    // There is no key for the platform's API.
    live.says(&[
        "the platform could not be asked",
        "SCW_SECRET_KEY has no value",
        "the name server of media.example.org answers with its record",
        &gateway.url,
        "ready for 1 s",
    ]);
    assert!(get(&address, "/ready").contains(&first));
    assert_eq!(status(&site, 0)["version"], first.as_str());
    let unchanged = Ran::of(site.toolkit(&["deploy", "production"]).env("GITHUB_ACTIONS", "true")).expect(0);
    assert!(testkit::groups(&unchanged.stderr) > 5, "{}", unchanged.stderr);
    unchanged.says(&["unchanged", &first]);
    deploy(&site, &["--plan-only"]).expect(0);

    // The plan of the next commit is applied exactly as it was shown.
    site.project.edit("start", "exit 0", "exit");
    let second = site.project.commit("Another one");
    let planned = deploy(&site, &["--plan-only"]).expect(10).says(&["1 to update"]);
    assert!(get(&address, "/ready").contains(&first));
    no_object_tells_a_secret(&site, 5);
    deploy(&site, &["--approve", &"0".repeat(32)]).expect(21).says(&["the approval is for another plan"]);
    site.type_it(&planned, "to apply   ").expect(0).says(&["live", &second, "cargo xtask rollback production"]);
    assert!(get(&address, "/ready").contains(&second));

    // One that never says that it is ready has taken the place of the previous one, which is applied again.
    site.project.edit("start", "status=ready", "status=unready");
    site.project.commit("One that does not get ready");
    let failed = approved(&site, &["deploy", "production"]).expect(30);
    failed.says(&["nothing has moved for 2 s", "says unready", &format!("{second} serves as before")]);
    assert!(get(&address, "/ready").contains(&second));
    assert_eq!(status(&site, 0)["version"], second.as_str());
    // One that ends is an error of the platform.
    site.project.edit("start", "status=unready", "echo no database; exit 3");
    site.project.commit("One that ends");
    approved(&site, &["deploy", "production"])
        .expect(30)
        .says(&["the platform reports an error of scaleway_container"]);
    assert!(get(&address, "/ready").contains(&second));

    // Back to the first one, whose commit is not checked out.
    xtask(&site, &["rollback", "production", "--dry-run"]).expect(0).says(&[&first]);
    approved(&site, &["rollback", "production"]).expect(0).says(&["live", &first]);
    assert!(get(&address, "/ready").contains(&first));
    assert_eq!(status(&site, 0)["record"]["kind"], "rollback");
    assert!(site.project.git(&["status", "--porcelain"]).is_empty());

    // What a record says is applied only as it was written.
    let records = site.storage.bucket("states").join("fixture/production/records");
    let files = fs_err::read_dir(records).unwrap().map(|entry| entry.unwrap().path());
    let is_of_second = |text: &String| text.contains("\"outcome\": \"live\"") && text.contains(&second);
    for (file, text) in files.map(|file| (file.clone(), fs_err::read_to_string(file).unwrap())) {
        if is_of_second(&text) {
            fs_err::write(file, text.replacen("\"info\"", "\"warn\"", 1)).unwrap();
        }
    }
    xtask(&site, &["rollback", "production", "--to", &second])
        .expect(21)
        .says(&["is not signed with production's key, or was changed after it was written"]);
    assert!(get(&address, "/ready").contains(&first));
    // Nor does a restore apply one: the record of the rollback from there was changed, too.
    site.project.edit("start", "echo no database", "echo no disk");
    site.project.commit("Another one that ends");
    approved(&site, &["deploy", "production"]).expect(31).says(&[
        &format!("the release is not healthy, and {first} could not be restored"),
        "was changed after it was written, so it is not applied",
        "the platform reports an error of scaleway_container",
    ]);
    no_object_tells_a_secret(&site, 8);
}

#[test]
fn only_a_commit_of_the_main_branch_that_the_remote_has_is_deployed_to_a_stack() {
    let test = "only_a_commit_of_the_main_branch_that_the_remote_has_is_deployed_to_a_stack";
    let Some((site, _registry, _rest)) = open(test, START) else { return };
    let remote = tempfile::tempdir().unwrap();
    let path = remote.path().to_str().unwrap();
    site.project.git(&["init", "--quiet", "--bare", path]);
    site.project.git(&["remote", "add", "origin", path]);
    let unpushed = deploy(&site, &[]).expect(1);
    unpushed.says(&["no remote has the commit", "git push"]);
    site.project.git(&["push", "--quiet", "--set-upstream", "origin", "HEAD"]);
    deploy(&site, &["--plan-only"]).expect(10);

    site.project.git(&["checkout", "--quiet", "-b", "other"]);
    site.project.write("README.md", "changed");
    deploy(&site, &["--plan-only"]).expect(1).says(&["only a commit can be deployed", "git stash"]);
    site.project.commit("On another branch");
    site.project.git(&["push", "--quiet", "--set-upstream", "origin", "HEAD"]);
    deploy(&site, &["--plan-only"]).expect(1).says(&["is not in main", "--allow-branch"]);
    deploy(&site, &["--plan-only", "--allow-branch"]).expect(10);
    assert!(!site.state().exists(), "nothing was created");
}

/// The state and the kept plan are encrypted; records, journal and lease have no secret. There are at least so many.
pub fn no_object_tells_a_secret(site: &Site, objects: usize) {
    let mut found = 0;
    files(&site.storage.bucket("states"), &mut |path| {
        found += 1;
        let text = String::from_utf8_lossy(&fs_err::read(path).unwrap()).into_owned();
        assert!(!text.contains("sentinel"), "{}", path.display());
    });
    assert!(found >= objects, "{found}");
}

pub fn deploy(site: &Site, options: &[&str]) -> Ran {
    xtask(site, &[&["deploy", "production"], options].concat())
}

pub fn xtask(site: &Site, args: &[&str]) -> Ran {
    let mut command: Command = site.toolkit(args);
    Ran::of(&mut command)
}

/// Plans, and gives the plan's approval to the same command.
pub fn approved(site: &Site, args: &[&str]) -> Ran {
    let planned = xtask(site, &[args, &["--plan-only"]].concat()).expect(10);
    site.type_it(&planned, "to apply   ")
}

/// What `status` says, which has to end with this code.
pub fn status(site: &Site, code: i32) -> Value {
    let said = xtask(site, &["status", "production", "--json"]).expect(code);
    let last = said.stdout.lines().last().unwrap();
    serde_json::from_str::<Value>(last).unwrap()["detail"].take()
}
