//! What the jobs of GitHub Actions are given: planned, set in sealed boxes, compared, and nothing where anything is missing.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::operations::{result, xtask};
use crate::site::{PASSPHRASE, SENTINEL, Site};
use devservers::GitHub;
use devservers::github::Fault;
use devservers::versitygw::{ACCESS_KEY, SECRET_KEY};

/// A program that tells the registry's login, which `.env.production` does not have.
const TOLD: &str = "--values-from=printf 'REGISTRY_HOST=registry.example.com\\nREGISTRY_USERNAME=shop\\nREGISTRY_PASSWORD=sentinel-login\\n'";

#[test]
fn jobs_are_given_what_they_need_and_nothing_where_anything_is_missing() {
    let Some(mut site) = Site::open("jobs_are_given_what_they_need_and_nothing_where_anything_is_missing") else {
        return;
    };
    let github = GitHub::start();
    let repository = github.repository("owner", "name");
    repository.commit("main", "First");
    site.variables.push(("GITHUB_API_URL", github.url()));
    site.variables.push(("GH_TOKEN", github.owner_token()));
    site.project.edit("deploy.yaml", "\nenvironments:", "\ngithub: { repository: owner/name }\n\nenvironments:");
    let said = xtask(&site, &["secrets", "check", "production"]).expect(10);
    assert!(said.stdout.contains("✗ TF_STATE_PASSPHRASE"), "{}", said.stdout);
    // One of the repository is given to the jobs of every environment.
    repository.set_secret(None, "TF_STATE_PASSPHRASE", "other", "2026-01-01T00:00:00Z");
    let said = xtask(&site, &["secrets", "check", "production"]).expect(10).stdout;
    let line = said.lines().find(|line| line.contains("TF_STATE_PASSPHRASE")).unwrap();
    assert!(line.contains("✓") && line.ends_with("set for all jobs of the repository"), "{said}");
    let refused = xtask(&site, &["secrets", "apply", "production", "--yes"]).expect(21);
    refused.says(&["nothing was set", "REGISTRY_HOST, REGISTRY_PASSWORD, REGISTRY_USERNAME"]);
    assert!(
        repository.secrets(Some("production")).is_empty() && !github.calls().iter().any(|call| call.starts_with("PUT"))
    );

    let apply = ["secrets", "apply", "production", "--yes", TOLD];
    // An answer that is lost changes nothing.
    github.fail("PUT /environments/{environment_name}/secrets/{secret_name}", Fault::CutAfter);
    let done = result(&site, &apply, 0);
    assert_eq!(names(&done, "done").len(), done["done"].as_array().unwrap().len() / 2, "{done:#}");
    for place in ["production", "production-plan"] {
        let expected = [
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("REGISTRY_PASSWORD", "sentinel-login"),
            ("TF_STATE_PASSPHRASE", PASSPHRASE),
            ("TF_VAR_secret", SENTINEL),
        ];
        // GitHub takes the names of secrets in upper case.
        let expected: BTreeMap<String, String> =
            expected.map(|(name, value)| (name.to_uppercase(), value.to_owned())).into();
        assert_eq!(repository.secrets(Some(place)), expected, "{place}");
        let variables = repository.variables(Some(place));
        assert_eq!(variables["REGISTRY_USERNAME"], "shop");
    }
    xtask(&site, &["secrets", "check", "production"]).expect(0);
    let plan = ["secrets", "plan", "production", TOLD];
    let same = xtask(&site, &plan).expect(0);
    assert!(same.stdout.contains("nothing to set") && !same.stdout.contains("sentinel"), "{}", same.stdout);
    assert_eq!(result(&site, &apply, 0)["done"], Value::Array(Vec::new()));

    // Another value here, one that was set at GitHub, and one that nothing needs.
    let file = site.project.read(".env.production");
    site.project.write(".env.production", &file.replace("TF_VAR_secret=\"", "TF_VAR_secret=\"another "));
    repository.set_secret(Some("production"), "TF_STATE_PASSPHRASE", "other", "2027-01-01T00:00:00Z");
    repository.set_secret(Some("production"), "OLD_TOKEN", "old", "2026-01-01T00:00:00Z");
    let changed = xtask(&site, &plan).expect(10).stdout;
    let lines: Vec<String> =
        changed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "+ TF_VAR_secret secret to set: the value here is another one",
        "+ TF_STATE_PASSPHRASE secret to set: GitHub has one that the toolkit has not set",
        "? OLD_TOKEN secret not needed",
    ] {
        assert!(lines.iter().any(|shown| shown == line), "it has no {line:?}:\n{changed}");
    }
    site.project.write(".env.production", &file);
    result(&site, &["secrets", "apply", "production", "--yes", "--prune", TOLD], 0);
    let now = repository.secrets(Some("production"));
    assert_eq!((now.get("OLD_TOKEN"), now["TF_STATE_PASSPHRASE"].as_str()), (None, PASSPHRASE));
    xtask(&site, &plan).expect(0);

    // A token without the permission is named.
    site.variables.push(("GH_TOKEN", github.personal_token(&["metadata:read"])));
    xtask(&site, &plan).expect(1).says(&["GitHub refuses", "check the token"]);
}

/// The names in a list of entries, each once.
fn names(result: &Value, list: &str) -> Vec<String> {
    let mut names: Vec<String> =
        result[list].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names.dedup();
    names
}
