//! Whose signatures of attestations are believed: certificate authorities, transparency logs and timestamp authorities.

use anyhow::{Context as _, Result, anyhow};
use camino::Utf8Path;
use sigstore_verify::trust_root::{SIGSTORE_GITHUB_TRUSTED_ROOT, SIGSTORE_PRODUCTION_TRUSTED_ROOT, TrustedRoot};
use sigstore_verify::types::{Artifact, Bundle};
use sigstore_verify::{VerificationPolicy, VerificationResult, Verifier};

use super::crypto;
use crate::fs::project;

/// The authorities of one or more instances of Sigstore.
pub struct Trust(Vec<Instance>);

struct Instance {
    name: String,
    verifier: Verifier,
    policy: VerificationPolicy,
}

impl Trust {
    /// The public instance, which signs for public repositories, and GitHub's own, which signs for private ones. Their keys are those
    /// that the crate was published with, so an update of the crate brings new ones.
    pub fn public() -> Result<Self> {
        let instances = [
            ("Sigstore's public instance", SIGSTORE_PRODUCTION_TRUSTED_ROOT),
            ("GitHub's instance", SIGSTORE_GITHUB_TRUSTED_ROOT),
        ];
        instances.into_iter().map(|(name, root)| Instance::new(name, root)).collect::<Result<_>>().map(Self)
    }

    /// The authorities of a file in Sigstore's format, `trusted_root.json`, of the project in `root`.
    pub fn of_file(root: &Utf8Path, path: &Utf8Path) -> Result<Self> {
        let found = project::read(root, path).with_context(|| format!("read {path}"))?;
        let found =
            found.with_context(|| format!("{path}, which deploy.yaml names as `trusted_root`, does not exist"))?;
        let text = String::from_utf8(found).with_context(|| format!("{path} is not UTF-8"))?;
        Ok(Self(vec![Instance::new(path.as_str(), &text)?]))
    }

    /// Verifies that one of the instances signed this bundle, for this artifact. Fails with the reason.
    pub fn verify(&self, bundle: &Bundle, artifact: &Artifact<'_>) -> Result<VerificationResult> {
        let mut refused = Vec::new();
        for Instance { name, verifier, policy } in &self.0 {
            match verifier.verify(artifact.clone(), bundle, policy) {
                Ok(verified) => return Ok(verified),
                Err(why) => refused.push((name, why.to_string())),
            }
        }
        let same = refused.windows(2).all(|pair| pair[0].1 == pair[1].1);
        let named = refused.iter().map(|(name, why)| format!("{name}: {why}"));
        Err(anyhow!("{}", if same { refused[0].1.clone() } else { named.collect::<Vec<_>>().join("; ") }))
    }
}

impl Instance {
    fn new(name: &str, root: &str) -> Result<Self> {
        crypto::use_ring();
        let read = TrustedRoot::from_json(root).with_context(|| format!("read the trusted root of {name}"))?;
        // The signer of each signature has proved its time, in any case. GitHub's own instance has no logs.
        let mut policy = VerificationPolicy::any_identity();
        if read.tlogs.is_empty() {
            policy = policy.skip_tlog_unsafe();
        }
        if read.ctlogs.is_empty() {
            policy = policy.skip_sct();
        }
        let verifier = Verifier::new(&read).with_context(|| format!("use the trusted root of {name}"))?;
        Ok(Self { name: name.to_owned(), verifier, policy })
    }
}
