//! Whether an image was built by the workflow that deploy.yaml allows, from the commit that is deployed.
//!
//! The proof is GitHub's artifact attestation of the image's digest: a statement that the workflow signed with a key of a few
//! minutes, whose certificate names the repository, the commit and the workflow. A certificate authority has seen GitHub's token for
//! that run, and a transparency log or a timestamp authority the time.
//!
//! A commit that changes nothing of the image shares the image, and so the attestation, of an earlier commit. So an attestation is
//! accepted that is of the deployed commit, or of one in its history that has the same inputs.

mod attestation;
mod crypto;
mod policy;
#[cfg(test)]
mod tests;
mod trust;

use anyhow::{Result, anyhow, ensure};

use self::attestation::Attestation;
use self::policy::Allowed;
use self::trust::Trust;
use super::ServiceImage;
use super::inputs::Inputs;
use crate::clients::registry::http::printable;
use crate::failure::Failure;
use crate::release::{Provenance, Source, short_digest};
use crate::tools::git;

/// How many attestations a refusal tells of.
const SHOWN: usize = 5;

/// Checks that an image was built by the allowed workflow, from this source's commit or from one in its history with the same inputs. `bundles`
/// are its attestations. Refused otherwise, with what was found.
pub async fn verify(
    image: &ServiceImage<'_>,
    source: &Source,
    digest: &str,
    bundles: &[String],
    allowed: &Allowed,
    trust: &Trust,
) -> Result<Provenance, Failure> {
    let mut refused = Vec::new();
    for bundle in bundles {
        match accept(image, source, digest, bundle, allowed, trust).await {
            Ok(provenance) => return Ok(provenance),
            Err(why) => refused.push(printable(&format!("{why:#}"))),
        }
    }
    Err(Failure::Refused(refusal(image, source, digest, &refused, allowed)))
}

async fn accept(
    image: &ServiceImage<'_>,
    source: &Source,
    digest: &str,
    bundle: &str,
    allowed: &Allowed,
    trust: &Trust,
) -> Result<Provenance> {
    let attestation = Attestation::verify(bundle, digest, trust)?;
    allowed.accepts(&attestation)?;
    is_of(image, source, &attestation.commit).await?;
    let workflow = format!("{}@{}", allowed.workflow, attestation.reference);
    Ok(Provenance { commit: attestation.commit, workflow, run: attestation.run })
}

/// Checks that an image of `commit` is one of `source`.
async fn is_of(image: &ServiceImage<'_>, source: &Source, commit: &str) -> Result<()> {
    if commit == source.commit {
        return Ok(());
    }
    let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    ensure!(is_commit, "it is of {commit:?}, which is no commit");
    let (short, wanted) = (&commit[..12], &source.commit[..12]);
    ensure!(
        git::is_ancestor(image.env.root(), commit, &source.commit).await?,
        "it was built from {short}, which is not in the history of {wanted} that this clone has"
    );
    let earlier = Source { commit: commit.to_owned(), version: short.to_owned(), ..source.clone() };
    let (earlier, own) = tokio::try_join!(Inputs::of(image, &earlier), Inputs::of(image, source))?;
    ensure!(
        earlier.hash == own.hash,
        "it was built from {short}, whose files for the image differ from those of {wanted}"
    );
    Ok(())
}

fn refusal(
    image: &ServiceImage<'_>,
    source: &Source,
    digest: &str,
    refused: &[String],
    allowed: &Allowed,
) -> anyhow::Error {
    let (digest, commit, name) = (short_digest(digest), &source.commit[..12], image.env.name());
    let Allowed { repository, workflow, .. } = allowed;
    let found = match refused.len() {
        0 => format!("{repository} has no attestation of it"),
        1 => format!("found one attestation: {}", refused[0]),
        count => {
            let shown = refused.iter().take(SHOWN).map(|why| format!("\n    {why}")).collect::<String>();
            format!("found {count} attestations:{shown}")
        }
    };
    anyhow!(
        "the image {digest} is refused: nothing proves that {workflow} of {repository} built it from {commit}\n  {found}\n  \
         to have it built and attested there: git push, wait for the workflow, and type the same command again; \
         what is required is in deploy.yaml: environments.{name}.verify"
    )
}
