//! What a deploy and what comes after it take beside OpenTofu: `doctor` and `preflight` say what is missing or wrong of it, before
//! anything changes.

use devservers::http::{HttpServer, Response};

use crate::site::{PASSPHRASE, STACK, Site, write_env};
use testkit::Ran;

#[test]
fn keys_that_are_missing_or_wrong_are_named_before_anything_changes() {
    let Some(mut site) = open("keys_that_are_missing_or_wrong_are_named_before_anything_changes") else { return };
    let doctor = |site: &Site| Ran::of(&mut site.toolkit(&["doctor", "production"])).stdout;
    let said = doctor(&site);
    for part in [
        "SCW_SECRET_KEY has no value",
        "COCKPIT_LOGS_URL and COCKPIT_TOKEN have no value, so `logs` is refused",
        "the stack pins no providers",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }

    // The key of another account, and a token that may not query logs.
    let refuses = HttpServer::start(|_| Response::new(401));
    let url = format!("http://{}", refuses.address);
    site.variables.extend([("SCW_API_URL", url.clone()), ("COCKPIT_LOGS_URL", url)]);
    write_env(
        &site.project.root,
        PASSPHRASE,
        "SCW_SECRET_KEY=sentinel-of-another\nCOCKPIT_TOKEN=sentinel-of-cockpit\n",
    );
    site.project.write(
        "infra/.terraform.lock.hcl",
        "provider \"registry.opentofu.org/scaleway/scaleway\" {\n  version = \"2.99.0\"\n}\n",
    );
    site.project.commit("Other providers");
    let said = doctor(&site);
    for part in [
        "✗ platform    Scaleway's API does not know SCW_SECRET_KEY",
        "the logs cannot be read: ",
        "pins scaleway/scaleway 2.99.0, and `rehearse` has the schema of ",
        "what differs is not rehearsed",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    Ran::of(&mut site.toolkit(&["deploy", "production", "--plan-only"])).expect(1).says(&[
        "to fix before anything is changed",
        "platform: Scaleway's API does not know SCW_SECRET_KEY",
        "the token is unknown or may not query logs",
    ]);
    assert!(!site.state().exists());
    let asked = refuses.asked();
    assert!(asked.iter().all(|request| request.method == "GET"), "{asked:?}");
}

/// A project whose stack runs the service.
fn open(test: &str) -> Option<Site> {
    Site::with(test, |project, state| {
        let deploy = project.read("deploy.yaml");
        let production = "  production:\n    target: scaleway\n    registry: registry.example.com/shop\n    stack: infra\n    settings: {}\n";
        let deploy = deploy.replace("\nenvironments:", "\nimage: {}\n\nenvironments:");
        project.write("deploy.yaml", &format!("{deploy}{production}    {state}\n"));
        project.write("infra/main.tf", STACK);
        write_env(&project.root, PASSPHRASE, "");
    })
}
