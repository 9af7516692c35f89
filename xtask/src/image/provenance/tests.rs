//! Attestations of real workflows, and such of an authority of its own, right ones and wrong ones.

use camino::Utf8Path;
use devservers::sigstore::{self, Sigstore};
use insta::assert_snapshot;
use sigstore_verify::trust_root::SIGSTORE_STAGING_TRUSTED_ROOT;
use sigstore_verify::types::Bundle;

use super::attestation::Attestation;
use super::policy::Allowed;
use super::trust::Trust;

/// From the tests of the crate sigstore-verify 0.15.1: provenance that npm shows of sigstore 2.0.0, made by sigstore-js's own workflow.
const PUBLIC: &str = include_str!("testdata/sigstore-js.json");
const PUBLIC_DIGEST: &str = "sha512:46d4e2f74c4877316640000a6fdf8a8b59f1e0847667973e9859f774dd31b8f1e0937813b777fb66a2ac67d50540fe34640966eee9fc2ccca387082b4c85cd3c";
/// From the same: what GitHub's own instance signed of a release, with a timestamp and no log.
const RELEASE: &str = include_str!("testdata/github-release.json");
const RELEASE_DIGEST: &str = "sha256:76f1fe8593bf227cca2c089e3c16dc95014a8d3e89c5dd220530469ca043c428";
/// From the same: an attestation of a conda package in the second version of the log of Sigstore's staging instance, with a timestamp.
const REKOR_2: &str = include_str!("testdata/rekor-2.json");
const REKOR_2_DIGEST: &str = "sha256:54303491a8418fbed24344b513546182c29b43bf282ceb433af65e2299f9271f";

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn digest() -> String {
    format!("sha256:{}", "a1".repeat(32))
}

fn right() -> sigstore::Attestation {
    sigstore::Attestation::of("owner/name", COMMIT, &digest())
}

fn allowed() -> Allowed {
    Allowed {
        server: "https://github.com".to_owned(),
        repository: "owner/name".to_owned(),
        workflow: ".github/workflows/ci.yml".to_owned(),
        issuer: "https://token.actions.githubusercontent.com".to_owned(),
        main_branch: "main".to_owned(),
    }
}

fn trust(sigstore: &Sigstore) -> Trust {
    trust_of(&sigstore.trusted_root())
}

fn trust_of(trusted_root: &str) -> Trust {
    let folder = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(folder.path()).unwrap();
    fs_err::write(root.join("root.json"), trusted_root).unwrap();
    Trust::of_file(root, "root.json".into()).unwrap()
}

/// What an authority signs is accepted, or why not.
fn judged(sigstore: &Sigstore, attestation: &sigstore::Attestation) -> String {
    judged_json(&trust(sigstore), &sigstore.sign(attestation).to_string())
}

fn judged_json(trust: &Trust, bundle: &str) -> String {
    let judged = Attestation::verify(bundle, &digest(), trust)
        .and_then(|attestation| allowed().accepts(&attestation).map(|()| attestation));
    match judged {
        Ok(attestation) => format!("accepted, of {}", attestation.commit),
        // Keys and signatures are others in each run.
        Err(why) => {
            let why = format!("{why:#}");
            let end = [" for log ID", " at line"].iter().filter_map(|mark| why.find(mark)).min();
            why[..end.unwrap_or(why.len())].to_owned()
        }
    }
}

#[test]
fn provenance_of_a_real_workflow_is_verified_by_the_public_keys() {
    let trust = Trust::public().unwrap();
    let attestation = Attestation::verify(PUBLIC, PUBLIC_DIGEST, &trust).unwrap();
    let expected = Attestation {
        issuer: "https://token.actions.githubusercontent.com".to_owned(),
        signer: "https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main".to_owned(),
        repository: "https://github.com/sigstore/sigstore-js".to_owned(),
        commit: "f0b49a04e5a62250e0f60fb128004a73110fe311".to_owned(),
        reference: "refs/heads/main".to_owned(),
        run: Some("https://github.com/sigstore/sigstore-js/actions/runs/5904696764/attempts/1".to_owned()),
    };
    assert_eq!(attestation, expected);
    let own = Allowed {
        repository: "Sigstore/sigstore-js".to_owned(),
        workflow: ".github/workflows/release.yml".to_owned(),
        ..allowed()
    };
    own.accepts(&attestation).unwrap();
    assert_snapshot!(allowed().accepts(&attestation).unwrap_err(), @"it is of the repository https://github.com/sigstore/sigstore-js, and not of https://github.com/owner/name");
    let other = Attestation::verify(PUBLIC, &format!("sha512:{}", "0".repeat(128)), &trust).unwrap_err();
    assert_snapshot!(format!("{other:#}"), @"Sigstore's public instance: artifact mismatch: artifact hash does not match any subject in attestation; GitHub's instance: invalid inclusion promise: No log key valid at integrated time 2023-08-18T16:05:35Z for log ID wNI9atQGlz+VWfO6LRygH4QUfY/8W4RFwiT5i5WRgB0=");
}

#[test]
fn a_timestamp_and_a_log_of_the_second_version_prove_the_time_too() {
    let (trust, staging) = (Trust::public().unwrap(), trust_of(SIGSTORE_STAGING_TRUSTED_ROOT));
    for (trust, bundle, digest) in [(&trust, RELEASE, RELEASE_DIGEST), (&staging, REKOR_2, REKOR_2_DIGEST)] {
        let read = Bundle::from_json(bundle).unwrap();
        let verified = trust.verify(&read, &super::attestation::artifact(digest).unwrap()).unwrap();
        assert!(verified.certificate_verified() && !verified.verified_timestamps().is_empty());
    }
    // Signed well, and not of a build.
    let release = Attestation::verify(RELEASE, RELEASE_DIGEST, &trust).unwrap_err();
    assert_snapshot!(format!("{release:#}"), @"its statement is https://in-toto.io/attestation/release/v0.2, and not https://slsa.dev/provenance/v1");
}

#[test]
fn the_attestation_of_the_allowed_workflow_is_accepted() {
    let sigstore = Sigstore::new();
    assert_eq!(judged(&sigstore, &right()), format!("accepted, of {COMMIT}"));
}

#[test]
fn all_others_are_refused_with_the_reason() {
    let sigstore = Sigstore::new();
    let text = str::to_owned;
    let cases = [
        ("another digest", sigstore::Attestation { digest: format!("sha256:{}", "b2".repeat(32)), ..right() }),
        (
            "another workflow",
            sigstore::Attestation {
                workflow: text("https://github.com/owner/name/.github/workflows/x.yml"),
                ..right()
            },
        ),
        (
            "another repository's workflow",
            sigstore::Attestation {
                workflow: text("https://github.com/else/name/.github/workflows/ci.yml"),
                ..right()
            },
        ),
        ("a repository whose name begins so", sigstore::Attestation::of("owner/name-x", COMMIT, &digest())),
        ("another repository", sigstore::Attestation { repository: text("https://github.com/else/name"), ..right() }),
        ("another server", sigstore::Attestation { repository: text("https://example.org/owner/name"), ..right() }),
        ("a branch", sigstore::Attestation { reference: text("refs/heads/feature"), ..right() }),
        ("a tag", sigstore::Attestation { reference: text("refs/tags/build-2025-06-01"), ..right() }),
        ("a pull request", sigstore::Attestation { reference: text("refs/pull/1/merge"), ..right() }),
        ("another issuer", sigstore::Attestation { issuer: text("https://gitlab.com"), ..right() }),
        (
            "another kind of statement",
            sigstore::Attestation { predicate: text("https://spdx.dev/Document"), ..right() },
        ),
        ("another commit in the statement", sigstore::Attestation { stated: "f".repeat(40), ..right() }),
        ("an expired certificate", sigstore::Attestation { day: 20, ..right() }),
        ("a time that is not proved", sigstore::Attestation { promised: false, ..right() }),
        ("no log", sigstore::Attestation { logged: false, ..right() }),
    ];
    let judged: Vec<String> = cases.iter().map(|(what, of)| format!("{what}: {}", judged(&sigstore, of))).collect();
    assert_snapshot!(judged.join("\n"), @r#"
    another digest: artifact mismatch: artifact hash does not match any subject in attestation
    another workflow: it was signed by https://github.com/owner/name/.github/workflows/x.yml@refs/heads/main, and deploy.yaml allows https://github.com/owner/name/.github/workflows/ci.yml for refs/heads/main
    another repository's workflow: it was signed by https://github.com/else/name/.github/workflows/ci.yml@refs/heads/main, and deploy.yaml allows https://github.com/owner/name/.github/workflows/ci.yml for refs/heads/main
    a repository whose name begins so: it is of the repository https://github.com/owner/name-x, and not of https://github.com/owner/name
    another repository: it is of the repository https://github.com/else/name, and not of https://github.com/owner/name
    another server: it is of the repository https://example.org/owner/name, and not of https://github.com/owner/name
    a branch: its workflow ran for refs/heads/feature, and not for the branch main
    a tag: its workflow ran for refs/tags/build-2025-06-01, and not for the branch main
    a pull request: its workflow ran for refs/pull/1/merge, and not for the branch main
    another issuer: its workflow was known to https://gitlab.com, and deploy.yaml allows https://token.actions.githubusercontent.com
    another kind of statement: its statement is https://spdx.dev/Document, and not https://slsa.dev/provenance/v1
    another commit in the statement: its statement is of ["ffffffffffffffffffffffffffffffffffffffff"], and its certificate of the commit 0123456789abcdef0123456789abcdef01234567
    an expired certificate: certificate chain is invalid: certificate chain validation failed: CertNotValidYet { time: UnixTime(1748779200), not_before: UnixTime(1750377600) }
    a time that is not proved: no verified timestamp: No verified timestamp found. V1 bundles require either an RFC3161 timestamp or a tlog entry with both an integrated time and an inclusion_promise (SET).
    no log: Bundle error: application/vnd.dev.sigstore.bundle.v0.3+json bundle must have an inclusion proof
    "#);
}

#[test]
fn what_was_changed_after_it_was_signed_is_refused() {
    let (sigstore, other) = (Sigstore::new(), Sigstore::new());
    let signed = sigstore.sign(&right());
    let with = |pointer: &str, from: &serde_json::Value| {
        let mut changed = signed.clone();
        *changed.pointer_mut(pointer).unwrap() = from.pointer(pointer).unwrap().clone();
        changed.to_string()
    };
    let of_another = sigstore.sign(&sigstore::Attestation { stated: "f".repeat(40), ..right() });
    let later = sigstore.sign(&sigstore::Attestation { day: 2, ..right() });
    let mut changed_time = signed.clone();
    changed_time["verificationMaterial"]["tlogEntries"][0]["integratedTime"] = "1748779201".into();
    let trusted = trust(&sigstore);
    let judged = [
        ("its statement", judged_json(&trusted, &with("/dsseEnvelope/payload", &of_another))),
        ("its signature", judged_json(&trusted, &with("/dsseEnvelope/signatures", &of_another))),
        ("its certificate", judged_json(&trusted, &with("/verificationMaterial/certificate", &later))),
        ("its log entry", judged_json(&trusted, &with("/verificationMaterial/tlogEntries", &of_another))),
        ("its time", judged_json(&trusted, &changed_time.to_string())),
        ("an authority that is not trusted", judged_json(&trusted, &other.sign(&right()).to_string())),
        ("a log that is not trusted", {
            let entries = other.sign(&right());
            judged_json(&trusted, &with("/verificationMaterial/tlogEntries", &entries))
        }),
    ];
    let judged: Vec<String> = judged.iter().map(|(what, of)| format!("{what}: {of}")).collect();
    assert_snapshot!(judged.join("\n"), @r"
    its statement: invalid signature: DSSE signature verification failed: Verification error: the ECDSA_P256_SHA256 signature is invalid
    its signature: invalid signature: DSSE signature verification failed: Verification error: the ECDSA_P256_SHA256 signature is invalid
    its certificate: certificate chain is invalid: certificate chain validation failed: CertNotValidYet { time: UnixTime(1748779200), not_before: UnixTime(1748822400) }
    its log entry: log entry does not match the bundle: DSSE payload hash mismatch: computed e8898aeecdd907968355d1971b9999ad13f3a6f3191e0a3c49fad721ac3f7cb4, expected d4fd08d07d7e29e7f7023dc996552c52a64b511f3a7f4bdb8c33c466e097bf0a
    its time: invalid inclusion promise: SET verification failed: Verification error: the ECDSA_P256_SHA256 signature is invalid
    an authority that is not trusted: invalid inclusion promise: No log key valid at integrated time 2025-06-01T12:00:00Z
    a log that is not trusted: invalid inclusion promise: No log key valid at integrated time 2025-06-01T12:00:00Z
    ");
}

#[test]
fn hostile_json_is_refused() {
    let sigstore = Sigstore::new();
    let (trusted, signed) = (trust(&sigstore), sigstore.sign(&right()));
    let mut proofs = signed.clone();
    let entry = proofs["verificationMaterial"]["tlogEntries"][0].clone();
    proofs["verificationMaterial"]["tlogEntries"] = vec![entry; 17].into();
    let mut no_statement = signed.clone();
    no_statement["messageSignature"] = serde_json::json!({ "signature": "AAAA" });
    no_statement.as_object_mut().unwrap().remove("dsseEnvelope");
    let mut two = signed.clone();
    let signature = two["dsseEnvelope"]["signatures"][0].clone();
    two["dsseEnvelope"]["signatures"].as_array_mut().unwrap().push(signature);
    let cases = [
        ("nothing", String::new()),
        ("no bundle", "{}".to_owned()),
        ("deep", "[".repeat(100_000)),
        ("large", format!("\"{}\"", "x".repeat(5 << 20))),
        ("many proofs", proofs.to_string()),
        ("no statement", no_statement.to_string()),
        ("two signatures", two.to_string()),
    ];
    let judged: Vec<String> =
        cases.iter().map(|(what, json)| format!("{what}: {}", judged_json(&trusted, json))).collect();
    assert_snapshot!(judged.join("\n"), @r"
    nothing: it is not a Sigstore bundle: JSON error: EOF while parsing a value
    no bundle: it is not a Sigstore bundle: JSON error: missing field `verificationMaterial`
    deep: it is not a Sigstore bundle: JSON error: invalid type: sequence, expected struct BundleHelper
    large: it has 5242882 bytes, and more than 4194304 are not read
    many proofs: it has 17 proofs of its time, and more than 16 are not read
    no statement: it is a signature without a statement
    two signatures: it is not a Sigstore bundle: JSON error: DSSE envelope must contain exactly one signature, found 2
    ");
}
