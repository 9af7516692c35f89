//! The proof that a deploy requires.

use insta::assert_snapshot;

use super::{SMALLEST, refused};
use crate::config::{Config, Verify};

/// A deploy.yaml whose environment `production` has this line too.
fn with(line: &str) -> String {
    format!(
        "{SMALLEST}  production:\n    target: scaleway\n    registry: rg.fr-par.scw.cloud/shop\n    verify: {line}\n"
    )
}

fn verify(line: &str) -> Verify {
    Config::parse(&with(line)).unwrap().environments["production"].verify.clone().unwrap()
}

#[test]
fn the_short_form_has_the_defaults_of_the_long_one() {
    assert_eq!(verify("provenance"), Verify::default());
    assert_eq!(verify("{ provenance: {} }"), Verify::default());
    let of_enterprise = verify(
        "{ provenance: { repository: some/thing, workflow: .github/workflows/build.yaml, issuer: 'https://token.actions.corp.ghe.com', \
         server: 'https://corp.ghe.com', trusted_root: infra/root.json } }",
    );
    let expected = Verify {
        repository: Some("some/thing".to_owned()),
        workflow: ".github/workflows/build.yaml".to_owned(),
        issuer: "https://token.actions.corp.ghe.com".to_owned(),
        server: "https://corp.ghe.com".to_owned(),
        trusted_root: Some("infra/root.json".into()),
    };
    assert_eq!(of_enterprise, expected);
}

#[test]
fn wrong_values_are_problems() {
    let refused = |line: &str| refused(&with(line));
    let wrong = [
        "signature",
        "true",
        "{ provenence: {} }",
        "{ provenance: { workflow: ci.yml } }",
        "{ provenance: { workflow: .github/workflows/../x.yml/ } }",
        "{ provenance: { repository: thing } }",
        "{ provenance: { issuer: 'http://issuer.example.org', server: github.com, trusted_root: ../root.json } }",
    ];
    assert_snapshot!(wrong.map(refused).join("\n"), @r"
    deploy.yaml:13:13: environments.production.verify: unknown value `signature`
      known values: provenance
    deploy.yaml:13:13: environments.production.verify: found `true`, expected one of: provenance
      for example `verify: provenance`
    deploy.yaml:13:15: environments.production.verify.provenence: unknown key
      did you mean `provenance`? Known keys: provenance
    deploy.yaml:13:39: environments.production.verify.provenance.workflow: found the text `ci.yml`, expected the file of a workflow, in .github/workflows
      for example `workflow: .github/workflows/ci.yml`
    deploy.yaml:13:39: environments.production.verify.provenance.workflow: found the text `.github/workflows/../x.yml/`, expected the file of a workflow, in .github/workflows
      for example `workflow: .github/workflows/ci.yml`
    deploy.yaml:13:41: environments.production.verify.provenance.repository: found the text `thing`, expected a repository at GitHub, as owner/name
      for example `repository: owner/name`
    deploy.yaml:13:37: environments.production.verify.provenance.issuer: found the text `http://issuer.example.org`, expected an address that begins with `https://`
      for example `issuer: https://token.actions.githubusercontent.com`
    deploy.yaml:13:74: environments.production.verify.provenance.server: found the text `github.com`, expected an address: `https://` and a host, without a path
      for example `server: https://github.com`
    deploy.yaml:13:100: environments.production.verify.provenance.trusted_root: found the text `../root.json`, expected a path inside the project, relative to its root and without `..`
      for example `trusted_root: infra/trusted_root.json`
    ");
}

#[test]
fn a_release_of_this_machine_has_no_provenance() {
    assert_snapshot!(refused(&format!("{SMALLEST}    verify: provenance\n")), @r"
    deploy.yaml:10:5: environments.local.verify: a release of this machine is built here, and no workflow proves its provenance
      remove it, or move it to an environment that runs an image
    ");
}
