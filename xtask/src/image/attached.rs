//! What BuildKit has attached to an image: statements of how it was built and what is in it.

use anyhow::{Context as _, Result};

use crate::clients::registry::Repository;
use crate::clients::registry::manifest::{Content, Manifest};

/// The beginning of the types of SLSA's provenance, whatever their version.
const PROVENANCE: &str = "https://slsa.dev/provenance/";
/// The type of a list of software in the format SPDX.
const SBOM: &str = "https://spdx.dev/Document";

/// A statement that is attached to an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Its type: `https://slsa.dev/provenance/v1`, `https://spdx.dev/Document`.
    pub predicate: String,
    /// Of its blob in the registry: an in-toto statement, in JSON.
    pub digest: String,
    /// In bytes.
    pub size: u64,
}

/// The statements that an index has of its image for a platform; none of a single manifest.
pub async fn attached(repository: &Repository, manifest: &Manifest, platform: &str) -> Result<Vec<Attached>> {
    let Some(image) = manifest.for_platform(platform) else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for child in manifest.attestations_of(&image.digest) {
        let child = repository.manifest(&child.digest).await.context("read what is attached to the image")?;
        let Content::Image(statements) = &child.content else { continue };
        all.extend(statements.layers.iter().filter_map(|layer| {
            let (predicate, digest) = (layer.predicate()?.to_owned(), layer.digest.clone());
            Some(Attached { predicate, digest, size: layer.size })
        }));
    }
    Ok(all)
}

impl Attached {
    /// Whether it says how the image was built.
    pub fn is_provenance(&self) -> bool {
        self.predicate.starts_with(PROVENANCE)
    }

    /// Whether it says what is in the image.
    pub fn is_sbom(&self) -> bool {
        self.predicate == SBOM
    }

    /// For people.
    pub fn name(&self) -> &str {
        match self {
            _ if self.is_provenance() => "SLSA provenance",
            _ if self.is_sbom() => "SBOM",
            _ => &self.predicate,
        }
    }
}

/// `SLSA provenance, SBOM`; none where nothing is attached.
pub fn names(attached: &[Attached]) -> Option<String> {
    let names: Vec<&str> = attached.iter().map(Attached::name).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
