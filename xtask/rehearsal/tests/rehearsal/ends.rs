//! How rehearsals end that do not come to their end.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use devservers::http;
use devservers::registry::{PASSWORD, USER};
use rustix::process::Signal;
use serde_json::Value;
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
    // An engine may have images of an earlier registry at this address.
    let (containers, images) = (shop.containers(), images_of(&registry).len());
    let said = shop.run(&["clean"]).expect(0).stdout;
    assert!(said.contains(&format!("1 containers, {images} images")), "{said}");
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
    let initialized = shop.folder().join("project/.deploy/production/tofu");
    until("the first deploy initializes OpenTofu", || initialized.exists());
    until("the container runs", || !shop.containers().is_empty());
}

#[test]
fn one_that_is_kept_can_be_looked_at_and_is_ended_by_clean() {
    let Some(shop) = Shop::open("one_that_is_kept_can_be_looked_at_and_is_ended_by_clean") else { return };
    let running = shop.start(&["production", "--ci", "--keep"]);
    // A step at a time: on a busy machine the whole takes longer than one may.
    until_applied(&shop);
    until("the rehearsal waits", || shop.folder().join("kept.json").exists());
    // Another one would be in its way.
    shop.run(&["production"]).expect(20).says(&["kept by --keep"]);
    let look = shop.folder().join("look");
    assert_eq!(fs_err::metadata(&look).unwrap().permissions().mode() & 0o777, 0o600);
    answer_no_other_user(&shop, &fs_err::read_to_string(&look).unwrap());
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
    let proof = last["proof"].to_string();
    assert!(proof.contains("without an approval it was refused"), "{last:#}");
    assert!(proof.contains("no workflow of deploy.yaml deploys it"), "{last:#}");
    assert!(!shop.folder().exists());
    assert_eq!(shop.processes(), []);
}

/// The servers are at loopback addresses, which every user of this machine reaches, and knows the secrets of this repository.
fn answer_no_other_user(shop: &Shop, look: &str) {
    let variable = |name: &str| {
        let line = look.lines().find_map(|line| line.strip_prefix(&format!("export {name}='")));
        line.unwrap_or_else(|| panic!("{name} is set")).trim_end_matches('\'').to_owned()
    };
    let refuses = |address: &str, path: &str, headers: &[(&str, &str)], status: u16| {
        let answer = http::ask(address, "GET", path, headers, "").unwrap();
        assert_eq!(answer.status, status, "{address}{path}: {}", answer.text());
    };
    let api = variable("SCW_API_URL");
    let known = ("X-Auth-Token", "7e6ea75a-1000-4000-8000-000000000000");
    refuses(&api, "/containers/v1/regions/fr-par/containers", &[known], 401);
    let zones = variable("AWS_ENDPOINT_URL_ROUTE_53");
    let (address, _) = zones.strip_prefix("http://").unwrap().split_once('/').expect("it has a secret path");
    for path in ["/2013-04-01/hostedzone", "/moto-api/data.json", "/"] {
        refuses(address, path, &[], 403);
    }
    let registry = fs_err::read_to_string(shop.folder().join("servers/registry")).unwrap();
    let basic = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
    refuses(&registry, "/v2/_catalog", &[("Authorization", &basic)], 401);
    let deploy = fs_err::read_to_string(shop.folder().join("project/deploy.yaml")).unwrap();
    let storage = deploy.lines().find_map(|line| line.trim().strip_prefix("endpoint: ")).unwrap();
    refuses(storage.trim_matches('\''), "/shop-tofu-state", &[], 403);
    let providers: Value = serde_json::from_str(&variable("TF_REATTACH_PROVIDERS")).unwrap();
    for (provider, about) in providers.as_object().unwrap() {
        assert_eq!(about["Addr"]["Network"], "unix", "{provider}");
        let folder = Path::new(about["Addr"]["String"].as_str().unwrap()).parent().unwrap();
        assert_eq!(fs_err::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700, "{provider}");
    }
}
