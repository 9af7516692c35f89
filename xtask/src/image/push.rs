//! Pushing the image: afterwards it is in the registry, under a digest that the pushing side and the registry agree on.

use anyhow::{Context as _, Result, anyhow, bail};

use super::attached::{Attached, attached, names};
use super::build::{Image, Location};
use super::builder::{Build, docker_credentials};
use super::inputs::Inputs;
use super::signature::{self, Subject};
use super::size::human_bytes;
use super::{CACHE_TAG, ServiceImage};
use crate::clients::buildkit::{Builder, Output};
use crate::clients::docker::{Engine, PushError};
use crate::clients::registry::Repository;
use crate::clients::registry::manifest::Manifest;
use crate::failure::Failure;
use crate::release::short_digest;
use crate::report::{Ongoing, Summary};
use crate::tofu::PASSPHRASE;

/// An image in the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Without a tag: `rg.fr-par.scw.cloud/meemi/app`.
    pub name: String,
    /// `sha256:<hex>`.
    pub digest: String,
    /// The first is the tag of its inputs.
    pub tags: Vec<String>,
    /// Whether the registry had it already.
    pub reused: bool,
    /// What is attached to it, or why less than could be.
    pub attached: String,
    /// The environment whose stack no other machine can plan with it: the signature is of this machine's own key.
    pub only_here: Option<String>,
}

/// Pushes the image, unless the registry has it, and tags it: with its signature, with the commit, on the main branch `latest`, and `cache` where
/// the next build takes its layers from this image.
pub async fn publish(
    image: &ServiceImage<'_>,
    inputs: &Inputs,
    built: &Image,
    step: &Ongoing,
) -> Result<Pushed, Failure> {
    let repository = image.repository().await?;
    let (digest, registry_cache) = match &built.location {
        Location::Registry { digest } => (digest.clone(), true),
        Location::Engine { engine, .. } => {
            let capabilities = Builder::Engine(engine.clone()).capabilities().await?;
            (push_from_engine(image, engine, &built.name, step).await?, capabilities.registry_cache)
        }
        Location::Buildkitd { builder, digest } => {
            let build = Build { image, inputs, builder, no_cache: false };
            let (pushed, _) = build.run(Output::Push(&built.name), step).await?;
            // What it has attached makes an index of it.
            let pushed = repository.manifest(&pushed.digest).await.context("read what the buildkitd has pushed")?;
            let of_platform = pushed.for_platform(&image.spec.platform).map_or(&pushed.digest, |image| &image.digest);
            if of_platform != digest {
                let error = anyhow!("the buildkitd built {digest} and pushed {of_platform}; run the command again");
                return Err(error.into());
            }
            (pushed.digest, true)
        }
    };
    verify(repository, &inputs.tag(), &digest, built).await?;
    let on_main = inputs.source.branch.as_ref() == Some(&image.env.config.source.main_branch);
    // A builder that cannot write a cache to the registry takes the layers of the image itself.
    let more =
        [Some(inputs.source.commit.as_str()), on_main.then_some("latest"), (!registry_cache).then_some(CACHE_TAG)];
    let mut tags = vec![inputs.tag()];
    let manifest = repository.manifest(&digest).await.context("read the manifest of the pushed image")?;
    signature::sign(image, inputs.subject(), &manifest).await?;
    if !registry_cache {
        signature::sign(image, Subject::Cache, &manifest).await?;
    }
    for tag in more.into_iter().flatten() {
        if repository.digest_of(tag).await.context("read the image's tags")?.as_ref() != Some(&digest) {
            repository.tag(&manifest, tag).await.with_context(|| format!("tag the image with {tag}"))?;
        }
        tags.push(tag.to_owned());
    }
    let reused = matches!(built.location, Location::Registry { .. });
    let is_shared = image.key().await?.is_some_and(|key| key.is_shared);
    let needs_sharing = !is_shared && image.env.environment.stack().is_some();
    let only_here = needs_sharing.then(|| image.env.name().to_owned());
    let attached = say_attached(image, inputs, built, &manifest).await?;
    Ok(Pushed { name: image.name(), digest, tags, reused, attached, only_here })
}

/// What is attached to the pushed image; and of what is not, why.
async fn say_attached(
    image: &ServiceImage<'_>,
    inputs: &Inputs,
    built: &Image,
    manifest: &Manifest,
) -> Result<String, Failure> {
    let found = attached(image.repository().await?, manifest, &image.spec.platform).await?;
    let has_sbom = found.iter().any(Attached::is_sbom);
    let attached = names(&found).map(|names| format!("attached: {names}"));
    let missing = match (&attached, &built.location, &inputs.scanner) {
        (None, Location::Engine { engine, .. }, _) => Some(format!(
            "nothing is attached: Docker {} attaches no provenance and no SBOM; a buildkitd does (BUILDKIT_HOST)",
            engine.version()
        )),
        (None, _, _) => Some("nothing is attached: its builder attached no provenance and no SBOM".to_owned()),
        (Some(_), _, None) if !has_sbom => Some(
            "no SBOM: deploy.yaml names no scanner, such as image.sbom: docker/buildkit-syft-scanner:stable-1"
                .to_owned(),
        ),
        (Some(_), _, Some(_)) if !has_sbom => Some("no SBOM: its builder attached none".to_owned()),
        (Some(_), _, _) => None,
    };
    Ok(attached.into_iter().chain(missing).collect::<Vec<_>>().join("; "))
}

/// Whether the registry still has the image with this digest.
pub async fn is_published(image: &ServiceImage<'_>, digest: &str) -> Result<bool, Failure> {
    let found = image.repository().await?.digest_of(digest).await;
    let found = found.with_context(|| format!("look for {}@{digest} in the registry", image.name()))?;
    Ok(found.is_some())
}

impl Pushed {
    /// `name@sha256:…`
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.digest)
    }
}

impl Summary for Pushed {
    fn summary(&self) -> String {
        let (digest, tags) = (short_digest(&self.digest), self.tags[1..].join(", "));
        let pushed = format!("{digest}, tagged {tags}\n{}", self.attached);
        match &self.only_here {
            Some(environment) => format!(
                "{pushed}\nsigned by this machine's key; to plan with it on another, set {PASSPHRASE} here, too, or type there: \
                 cargo xtask tofu plan {environment} --image {}",
                self.digest
            ),
            None => pushed,
        }
    }

    fn is_reused(&self) -> bool {
        self.reused
    }
}

/// Compares the registry's digest of the tag with the digest that was pushed.
async fn verify(repository: &Repository, tag: &str, pushed: &str, built: &Image) -> Result<()> {
    let name = &built.name;
    let found = repository.digest_of(tag).await.with_context(|| format!("read the digest of {name}"))?;
    let found = found.with_context(|| format!("the registry does not have {name} right after the push"))?;
    if found != pushed {
        bail!(
            "{name} was pushed as {pushed}, and the registry has {found}: another push replaced it; run the command again"
        );
    }
    Ok(())
}

/// Lets the engine push. The engine retries a broken connection five times within a minute, and does not send layers again
/// that have arrived.
async fn push_from_engine(
    image: &ServiceImage<'_>,
    engine: &Engine,
    name: &str,
    step: &Ongoing,
) -> Result<String, Failure> {
    let credentials = image.credentials(image.repository().await?.host()).await?;
    let login = docker_credentials(&credentials);
    let pushed = engine.push(name, login.as_ref(), |done, total| {
        step.progress(&format!("{} of {} of a layer", human_bytes(done), human_bytes(total)));
    });
    pushed.await.map_err(|error| {
        let hint = match &error {
            PushError::Unauthorized { .. } => format!("the credentials are from {}", credentials.source()),
            PushError::Network { .. } => "run the command again: layers that have arrived are kept".to_owned(),
            PushError::Other { .. } => format!("check the registry: cargo xtask doctor {}", image.env.name()),
        };
        anyhow!(error).context(format!("push the image for {}; {hint}", image.env.name())).into()
    })
}
