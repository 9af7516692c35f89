//! `deploy` with `verify: provenance`: only what the allowed workflow has built from the commit, and attested, is run.

use devservers::GitHub;
use devservers::sigstore::{Attestation, Sigstore};

use crate::gateway::Gateway;
use crate::production::{START, approved, deploy, xtask};
use crate::site::Site;
use crate::whole::open;

const REPOSITORY: &str = "owner/name";

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
    let _gateway = Gateway::before(&mut site);
    let attested = github.repository("owner", "name");
    site.variables.extend([("GITHUB_API_URL", github.url()), ("GH_TOKEN", github.owner_token())]);
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
        attested.attest(&bundle);
        planned(21).says(&["nothing proves that", why]);
    }
    site.run(&["plan", "production"]).expect(21).says(&["nothing proves that"]);
    assert!(!site.state().exists(), "nothing was created");

    attested.attest(&sigstore.sign(&right()));
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
    attested.attest(&sigstore.sign(&Attestation::of(REPOSITORY, &built, &other)));
    planned(21)
        .says(&[&format!("it was built from {}, whose files for the image differ from those of {next}", &built[..12])]);

    // A release that was verified is brought back without GitHub.
    attested.attest(&sigstore.sign(&Attestation::of(REPOSITORY, &commit(&site), &other)));
    approved(&site, &["deploy", "production"]).expect(0);
    site.variables.retain(|(name, _)| *name != "GH_TOKEN");
    approved(&site, &["rollback", "production"]).expect(0).says(&[&by]);
}
