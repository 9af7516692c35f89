//! Attestations of artifacts.

use serde::Deserialize;
use serde_json::Value;

use super::{GitHub, Result};

impl GitHub {
    /// The Sigstore bundles that the repository's workflows have attested an artifact's build with; none of one that GitHub does not
    /// know. `digest` is `sha256:<hex>`. Nothing is verified.
    pub async fn attestations(&self, digest: &str) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Answer {
            attestations: Vec<Attestation>,
        }
        #[derive(Deserialize)]
        struct Attestation {
            bundle: Value,
        }
        // One artifact has a few. The list has no pages by number.
        let path = format!("/attestations/{digest}?per_page=100&predicate_type=provenance");
        let found = self.find::<Answer>(&path, &format!("reading the attestations of {digest}")).await?;
        let found = found.into_iter().flat_map(|answer| answer.attestations);
        Ok(found.map(|attestation| attestation.bundle.to_string()).collect())
    }
}
