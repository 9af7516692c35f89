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

use anyhow::{Context as _, Result, anyhow, ensure};

use self::attestation::Attestation;
use self::policy::Allowed;
use self::trust::Trust;
use super::ServiceImage;
use super::inputs::Inputs;
use crate::check::Check;
use crate::clients::github::GitHub;
use crate::clients::registry::http::printable;
use crate::config::{self, Config, FILE, Verify};
use crate::env::Env;
use crate::failure::Failure;
use crate::release::{Provenance, Source, short_digest};
use crate::tofu::variables::is_overridden;
use crate::tools::git;

/// How many attestations a refusal tells of.
const SHOWN: usize = 5;

/// Checks that an image was built by the workflow that the environment's `verify` allows, from this source's commit or from one in its
/// history with the same inputs. Refused otherwise, with what was found. None where the environment requires no proof.
pub async fn verify(image: &ServiceImage<'_>, source: &Source, digest: &str) -> Result<Option<Provenance>, Failure> {
    let Some(wanted) = &image.env.environment.verify else { return Ok(None) };
    let Means { github, allowed, trust } = Means::of(image.env, wanted).await?;
    let bundles = github.attestations(digest).await;
    let bundles = bundles.with_context(|| format!("read the proof of who built {}", short_digest(digest)))?;
    let mut refused = Vec::new();
    for bundle in &bundles {
        match accept(image, source, digest, bundle, &allowed, &trust).await {
            Ok(provenance) => return Ok(Some(provenance)),
            Err(why) => refused.push(printable(&format!("{why:#}"))),
        }
    }
    Err(Failure::Refused(refusal(image, source, digest, &refused, &allowed)))
}

/// Whether all is there that verifies who built an image; none where the environment requires no proof. Asks nothing of GitHub.
pub async fn check(env: &Env<'_>) -> Option<Check> {
    let wanted = env.environment.verify.as_ref()?;
    Some(match Means::of(env, wanted).await {
        Ok(Means { allowed: Allowed { workflow, repository, .. }, .. }) => {
            Check::good("provenance", format!("only what {workflow} of {repository} has built is deployed"))
        }
        Err(failure) => Check::failed("provenance", failure),
    })
}

/// That a stack runs another image than the pushed one, which no proof is looked for of.
pub fn not_the_pushed_one(env: &Env<'_>) -> Failure {
    let name = env.name();
    Failure::Refused(anyhow!(
        "the stack's variable `image` is set by `variables` in deploy.yaml or by TF_VAR_image, so the stack of {name} would run an \
         image that is not verified\n  remove that value, or remove environments.{name}.verify from deploy.yaml"
    ))
}

/// What verifies who built an image.
struct Means {
    github: GitHub,
    allowed: Allowed,
    trust: Trust,
}

impl Means {
    async fn of(env: &Env<'_>, wanted: &Verify) -> Result<Self, Failure> {
        if is_overridden(env, "image")? {
            return Err(not_the_pushed_one(env));
        }
        let repository = match &wanted.repository {
            Some(repository) => repository.clone(),
            None => env.github_repository().await?,
        };
        let trust = match &wanted.trusted_root {
            Some(path) => Trust::of_file(env.root(), path)?,
            None => Trust::public()?,
        };
        let github = env.github_of(&repository)?;
        let Verify { server, workflow, issuer, .. } = wanted.clone();
        let main_branch = env.config.source.main_branch.clone();
        Ok(Self { github, allowed: Allowed { server, repository, workflow, issuer, main_branch }, trust })
    }
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
    // The workflow has built by what deploy.yaml said of the image then.
    let said = git::show(image.env.root(), commit, FILE).await?.context("deploy.yaml of that commit is not there")?;
    let said = Config::parse(&said).with_context(|| format!("read deploy.yaml of {short}"))?.image;
    let recipe = |spec: &config::Image| (spec.dockerfile.clone(), spec.platform.clone(), spec.bases.clone());
    ensure!(
        said.as_ref().map(recipe) == Some(recipe(image.spec)),
        "it was built from {short}, whose deploy.yaml says something else of the image than that of {wanted}"
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
