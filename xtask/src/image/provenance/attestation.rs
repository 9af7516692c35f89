//! One attestation: a Sigstore bundle with an in-toto statement of SLSA provenance. Everything in it was written by others, and nothing
//! of it is believed before its signature is verified.

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde::Deserialize;
use sigstore_verify::crypto::CertificateInfo;
use sigstore_verify::types::{Artifact, ArtifactDigest, Bundle, DigestBytes, HashAlgorithm, SignatureContent};

use super::trust::Trust;

/// The type of statement that GitHub's `actions/attest` makes of a build.
pub const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// The largest bundle. GitHub's have about 10 kB; the number of files that one is of is free.
const MAX_BYTES: usize = 4 << 20;
/// The most log entries and the most timestamps of a bundle: each takes the check of a signature.
const MAX_PROOFS: usize = 16;

/// What a verified attestation says: what the certificate authority knew of the workflow that signed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attestation {
    /// The service that knew the workflow: `https://token.actions.githubusercontent.com`.
    pub issuer: String,
    /// The workflow that signed: `https://github.com/OWNER/NAME/.github/workflows/ci.yml@refs/heads/main`.
    pub signer: String,
    /// The repository whose commit was checked out: `https://github.com/OWNER/NAME`.
    pub repository: String,
    /// That commit, 40 hexadecimal digits.
    pub commit: String,
    /// The reference that the workflow ran for: `refs/heads/main`.
    pub reference: String,
    /// The address of its run.
    pub run: Option<String>,
}

impl Attestation {
    /// Verifies a bundle's signature, its time, its certificate, and that it is of this digest. Fails with the reason.
    pub fn verify(json: &str, digest: &str, trust: &Trust) -> Result<Self> {
        ensure!(json.len() <= MAX_BYTES, "it has {} bytes, and more than {MAX_BYTES} are not read", json.len());
        let bundle = Bundle::from_json(json).map_err(|error| anyhow!("it is not a Sigstore bundle: {error}"))?;
        let material = &bundle.verification_material;
        let stamps = &material.timestamp_verification_data.rfc3161_timestamps;
        let proofs = material.tlog_entries.len().max(stamps.len());
        ensure!(proofs <= MAX_PROOFS, "it has {proofs} proofs of its time, and more than {MAX_PROOFS} are not read");
        let SignatureContent::DsseEnvelope(envelope) = &bundle.content else {
            bail!("it is a signature without a statement");
        };
        let verified = trust.verify(&bundle, &artifact(digest)?)?;
        let certificate = verified.certificate().context("it has no certificate")?;
        let statement: Statement =
            serde_json::from_slice(envelope.payload.as_bytes()).context("its statement is not of a build")?;
        let kind = &statement.predicate_type;
        ensure!(kind == PREDICATE, "its statement is {kind}, and not {PREDICATE}");
        let attestation = Self::certified(certificate)?;
        let commits: Vec<&String> = statement.commits().collect();
        ensure!(
            commits.contains(&&attestation.commit),
            "its statement is of {commits:?}, and its certificate of the commit {}",
            attestation.commit
        );
        Ok(attestation)
    }

    fn certified(certificate: &CertificateInfo) -> Result<Self> {
        let claims = &certificate.ci_claims;
        let present = |claim: &Option<String>, what: &str| {
            claim.clone().with_context(|| format!("its certificate does not name {what}"))
        };
        let signer = certificate.identity.as_ref().map(|identity| identity.as_str().to_owned());
        Ok(Self {
            issuer: present(&certificate.issuer, "an issuer")?,
            signer: present(&signer, "a workflow")?,
            repository: present(&claims.source_repository_uri, "a repository")?,
            commit: present(&claims.source_repository_digest, "a commit")?,
            reference: present(&claims.source_repository_ref, "a reference")?,
            run: claims.run_invocation_uri.clone(),
        })
    }
}

/// What is read of a statement. Its subjects are compared with the digest where the signature is verified.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    predicate_type: String,
    #[serde(default)]
    predicate: Predicate,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Predicate {
    build_definition: BuildDefinition,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct BuildDefinition {
    resolved_dependencies: Vec<Dependency>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Dependency {
    digest: CommitDigest,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct CommitDigest {
    git_commit: Option<String>,
}

impl Statement {
    fn commits(&self) -> impl Iterator<Item = &String> {
        self.predicate.build_definition.resolved_dependencies.iter().filter_map(|of| of.digest.git_commit.as_ref())
    }
}

/// `sha256:<hex>` or `sha512:<hex>`.
pub(super) fn artifact(digest: &str) -> Result<Artifact<'static>> {
    let algorithms = [("sha256", HashAlgorithm::Sha2256), ("sha512", HashAlgorithm::Sha2512)];
    let (name, value) = digest.split_once(':').with_context(|| format!("{digest} is not a digest"))?;
    let known = algorithms.into_iter().find(|(known, _)| *known == name);
    let (_, algorithm) = known.with_context(|| format!("{digest} is of an algorithm that is not known"))?;
    let value = DigestBytes::from_hex(value).with_context(|| format!("{digest} is not a digest"))?;
    Ok(Artifact::Digest(ArtifactDigest::new(algorithm, value)?))
}
