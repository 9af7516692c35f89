//! `deploy` with `verify: provenance`: only what the allowed workflow has built from the commit, and attested, is run.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use devservers::http::{HttpServer, Response};
use devservers::sigstore::{Attestation, Sigstore};

use crate::production::{START, approved, deploy, xtask};
use crate::site::Site;
use crate::whole::open;

const REPOSITORY: &str = "owner/name";

/// A GitHub that has attestations, each by the digest that it is of.
struct GitHub {
    server: HttpServer,
    attestations: Arc<Mutex<Vec<(String, Value)>>>,
}

impl GitHub {
    fn start() -> Self {
        let attestations: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
        let known = Arc::clone(&attestations);
        let server = HttpServer::start(move |request| {
            let path = request.path.split('?').next().unwrap();
            let known = known.lock().unwrap();
            let of = known.iter().filter(|(digest, _)| path == format!("/repos/{REPOSITORY}/attestations/{digest}"));
            let found: Vec<Value> = of.map(|(_, bundle)| json!({ "bundle": bundle, "repository_id": 1 })).collect();
            match found.is_empty() {
                true => Response::new(404).body("application/json", json!({ "message": "Not Found" }).to_string()),
                false => Response::new(200).body("application/json", json!({ "attestations": found }).to_string()),
            }
        });
        Self { server, attestations }
    }

    /// Has this one of a digest, and no other.
    fn has(&self, digest: &str, bundle: Value) {
        *self.attestations.lock().unwrap() = vec![(digest.to_owned(), bundle)];
    }
}

/// What the workflow does: it pushes the image of the commit. Its digest.
fn push(site: &Site) -> String {
    let pushed = xtask(site, &["image", "push", "production"]).expect(0);
    pushed.stdout.trim().rsplit_once('@').unwrap().1.to_owned()
}

fn commit(site: &Site) -> String {
    site.project.git(&["rev-parse", "HEAD"])
}

#[test]
fn a_deploy_runs_only_what_the_workflow_has_built_from_its_commit() {
    let test = "a_deploy_runs_only_what_the_workflow_has_built_from_its_commit";
    let Some((mut site, _registry, _rest)) = open(test, START) else { return };
    let (sigstore, github) = (Sigstore::new(), GitHub::start());
    let api = format!("http://{}", github.server.address);
    site.variables.extend([("GITHUB_API_URL", api), ("GH_TOKEN", "a-token-of-a-test".to_owned())]);
    let verify = format!("verify: {{ provenance: {{ repository: {REPOSITORY}, trusted_root: root.json }} }}");
    site.project.edit(
        "deploy.yaml",
        "    target: scaleway",
        &format!("    target: scaleway\n    gate: {{ watch: 1, no_progress: 2 }}\n    {verify}"),
    );
    site.project.write("root.json", &sigstore.trusted_root());
    site.project.commit("Verify who built it");
    let planned = |code: i32| deploy(&site, &["--plan-only"]).expect(code);

    // Nothing is built here.
    planned(21).says(&["the registry has no image", ".github/workflows/ci.yml builds it: git push"]);
    let (digest, built) = (push(&site), commit(&site));
    planned(21).says(&["nothing proves that", "owner/name has no attestation of it", "environments.production.verify"]);
    let right = || Attestation::of(REPOSITORY, &built, &digest);
    let mut changed = sigstore.sign(&right());
    changed["dsseEnvelope"]["payload"] =
        sigstore.sign(&Attestation::of(REPOSITORY, &"f".repeat(40), &digest))["dsseEnvelope"]["payload"].take();
    let other = "f".repeat(40);
    let wrong = [
        (
            sigstore.sign(&Attestation::of(REPOSITORY, &other, &digest)),
            "it was built from ffffffffffff, which is not in the history of",
        ),
        (
            sigstore.sign(&Attestation {
                workflow: format!("https://github.com/{REPOSITORY}/.github/workflows/other.yml"),
                ..right()
            }),
            "other.yml@refs/heads/main",
        ),
        (changed, "invalid signature"),
    ];
    for (bundle, why) in wrong {
        github.has(&digest, bundle);
        planned(21).says(&["nothing proves that", "found one attestation", why]);
    }
    site.run(&["plan", "production"]).expect(21).says(&["nothing proves that"]);
    assert!(!site.state().exists(), "nothing was created");

    github.has(&digest, sigstore.sign(&right()));
    let by = format!("built from {} by .github/workflows/ci.yml@refs/heads/main", &built[..12]);
    site.run(&["plan", "production"]).expect(10).says(&[&by]);
    let live = approved(&site, &["deploy", "production"]).expect(0);
    live.says(&[&by]);

    // A commit that changes nothing of the image shares it, and the proof.
    site.project.write("README.md", "# More");
    site.project.commit("Docs");
    approved(&site, &["deploy", "production"]).expect(0).says(&[&by]);
    // One that changes it does not.
    site.project.edit("start", "exit 0", "exit");
    let next = site.project.commit("Another one");
    let other = push(&site);
    github.has(&other, sigstore.sign(&Attestation::of(REPOSITORY, &built, &other)));
    planned(21)
        .says(&[&format!("it was built from {}, whose files for the image differ from those of {next}", &built[..12])]);

    // A release that was verified is brought back without GitHub.
    github.has(&other, sigstore.sign(&Attestation::of(REPOSITORY, &commit(&site), &other)));
    approved(&site, &["deploy", "production"]).expect(0);
    github.attestations.lock().unwrap().clear();
    approved(&site, &["rollback", "production"]).expect(0).says(&[&by]);
}
