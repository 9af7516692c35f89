//! A rehearsal from its beginning to its end.

use serde_json::{Value, json};

use crate::shop::{SENTINEL, Shop, account, containers_of, events, images_of};
use testkit::machine::all_command_lines;

#[test]
fn the_fixture_is_deployed_under_load_broken_restored_resumed_and_rolled_back() {
    let test = "the_fixture_is_deployed_under_load_broken_restored_resumed_and_rolled_back";
    let Some(shop) = Shop::open(test) else { return };
    let ended = shop.run(&["production", "--break", "crash", "--break", "killed", "--json"]).expect(0);
    let account = account(&events(&ended));
    let chapters = account["chapters"].as_array().unwrap();
    let names: Vec<&str> = chapters.iter().map(|chapter| chapter["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "servers",
            "project",
            "bootstrap state",
            "bootstrap zone",
            "bootstrap registry",
            "media",
            "plan",
            "deploy",
            "deploy under load",
            "a release that ends at once",
            "a deploy that is killed",
            "rollback"
        ]
    );
    assert!(chapters.iter().all(|chapter| chapter["outcome"] == "done"), "{account:#}");
    let proof = |name: &str| {
        let chapter = chapters.iter().find(|chapter| chapter["name"] == name).unwrap();
        chapter["proof"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| format!("{}\n", line.as_str().unwrap()))
            .collect::<String>()
    };
    for (name, text) in [
        ("media", "1 to create, applied with the approval"),
        ("plan", "exit code 10"),
        ("deploy", "serves at https://media.example.org"),
        ("deploy", "planned again at once: nothing to change"),
        ("deploy under load", " 0 failed"),
        ("a release that ends at once", "exit code 30"),
        ("a release that ends at once", "/no/such/program"),
        ("a release that ends at once", " 0 failed"),
        ("a deploy that is killed", "resumed"),
        ("rollback", "back to"),
    ] {
        assert!(proof(name).contains(text), "{name}: {text}: {}", proof(name));
    }
    // Each chapter has the steps of its commands, within its time.
    let deploy = chapters.iter().find(|chapter| chapter["name"] == "deploy").unwrap();
    let steps: Vec<&str> =
        deploy["steps"].as_array().unwrap().iter().filter_map(|step| step["name"].as_str()).collect();
    assert!(
        ["preflight", "build", "publish", "plan", "apply", "gate", "record"].iter().all(|step| steps.contains(step)),
        "{steps:?}"
    );

    // The account is all that is left.
    let mut left: Vec<String> = fs_err::read_dir(shop.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["account.html", "account.json"]);
    let kept: Value = serde_json::from_slice(&fs_err::read(shop.folder().join("account.json")).unwrap()).unwrap();
    assert_eq!(kept, account);
    let page = fs_err::read_to_string(shop.folder().join("account.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("planned again at once"), "{page}");
    assert_eq!(shop.processes(), []);
    let registry =
        proof("servers").lines().find_map(|line| line.strip_prefix("registry at ").map(str::to_owned)).unwrap();
    assert_eq!(images_of(&registry), [""; 0]);
    assert_eq!(containers_of(&shop.folder().join("servers/stand-in/cloud")), [""; 0]);
    assert!(shop.project.git(&["status", "--porcelain"]).is_empty());

    // No secret of this shell, and none of the rehearsal's own, is anywhere.
    let html = fs_err::read_to_string(shop.folder().join("account.html")).unwrap();
    for text in [ended.stdout, ended.stderr, html] {
        assert!(!text.contains(SENTINEL) && !text.contains("sentinel"), "{text}");
    }
    assert!(!all_command_lines().contains(SENTINEL));
}

#[test]
fn the_jobs_of_the_projects_own_workflow_deploy_it() {
    let Some(shop) = Shop::open("the_jobs_of_the_projects_own_workflow_deploy_it") else { return };
    shop.project.edit("deploy.yaml", "\nimage: {}\n", "\nimage: {}\ngithub: { repository: some/shop }\n");
    shop.project.commit("On GitHub");
    let ended = shop.run(&["production", "--ci", "--json"]).expect(0);
    let account = account(&events(&ended));
    let last = account["chapters"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["name"], &last["outcome"]), (&json!("deploy in CI"), &json!("done")), "{account:#}");
    let proof = last["proof"].to_string();
    for text in [
        "serves at https://media.example.org",
        "jobs of .github/workflows/deploy.yml, run here: plan-production, deploy-production",
        "shows one deployment: in_progress, success",
        "without an approval it was refused",
    ] {
        assert!(proof.contains(text), "{text}: {proof}");
    }
    let said = ended.stdout + &ended.stderr;
    assert!(!said.contains(SENTINEL), "{said}");
}
