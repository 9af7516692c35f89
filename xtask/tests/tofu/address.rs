//! The public address of a release on a stack, and the watch.

use serde_json::Value;

use crate::gateway::Gateway;
use crate::production::{START, approved, deploy, status, xtask};
use crate::whole::open;

#[test]
fn a_public_address_that_cannot_answer_fails_a_deploy_and_a_release_that_falls_is_taken_back() {
    let test = "a_public_address_that_cannot_answer_fails_a_deploy_and_a_release_that_falls_is_taken_back";
    let Some((mut site, _registry, _rest)) = open(test, START) else { return };
    let gateway = Gateway::before(&mut site);
    site.variables.push(("SCW_SECRET_KEY", "sentinel-of-scaleway".to_owned()));
    site.project.edit("deploy.yaml", "    target: scaleway", "    target: scaleway\n    gate: { watch: 2 }");
    let first = site.project.commit("A short watch");

    // The platform has given the domain up, which OpenTofu does not see.
    site.platform.set(|answers| answers.domain = Some(("error", "the CNAME does not resolve")));
    let failed = approved(&site, &["deploy", "production"]).expect(31).says(&[
        &format!("{} cannot answer: scaleway_container_domain.service", gateway.url),
        "the status of media.example.org is error",
        "the CNAME does not resolve",
        "delete the domain in Scaleway's console",
        "there is no previous one to go back to",
    ]);
    assert!(!failed.stderr.contains("could not be asked"), "{}", failed.stderr);
    // The container is the same, so there is nothing to apply and nothing to approve.
    site.platform.set(|answers| answers.domain = Some(("ready", "")));
    let live = deploy(&site, &[]).expect(0).says(&["live", &gateway.url, "media.example.org resolves to 127.0.0.1"]);
    assert!(!live.stderr.contains("curl"), "{}", live.stderr);
    assert_eq!(status(&site, 0)["address"], gateway.url.as_str());

    // The answers at the public address turn into errors once it has taken over.
    site.project.edit("start", "exit 0", "exit");
    let second = site.project.commit("One that falls");
    gateway.fails_after(&second, 2);
    approved(&site, &["deploy", "production"]).expect(30).says(&[
        &format!("{second} was ready, and is not any more; {}", gateway.url),
        "out of memory",
        "(asked twice); the platform says ready",
        "watch failed",
        &format!("{first} serves as before"),
    ]);
    assert_eq!(status(&site, 0)["version"], first.as_str());
    let history = xtask(&site, &["history", "production", "--json"]).expect(0).stdout;
    let records = history.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["detail"].take());
    let fallen = records.into_iter().find(|record| record["outcome"] == "restored").unwrap();
    let answers = fallen["answers"].as_array().unwrap();
    assert!(answers.len() <= 10 && answers.last().unwrap().as_str().unwrap().contains("out of memory"), "{answers:#?}");
}
